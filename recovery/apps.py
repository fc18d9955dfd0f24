"""The app: people deciding about paused runs."""

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings


class RecoveryConfig(AppConfig):
    name = "recovery"
    verbose_name = "Recovery"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Models are there only now, and everything below needs them.
        pipelines = import_module("recovery.pipelines")
        pipelines.autodiscover()
        if settings.RECOVERY["SAMPLES"]:
            import_module("recovery.demo.pipelines")
        import_module("recovery.backends").set_default_on_checkpoint(
            import_module("recovery.services.pauses").on_checkpoint
        )
