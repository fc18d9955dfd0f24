"""Settings of the project, all of them from the environment; the defaults run on one machine without configuration."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent

# Everything the project writes on a machine without configuration: database, artifacts, broker, secret key.
VAR_DIR = Path(env.str("RHDASHBOARD_VAR_DIR", default=str(BASE_DIR / "var"))).resolve()


def _folder(*parts: str) -> Path:
    path = VAR_DIR.joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _own_secret_key() -> str:
    """The key of this machine, generated on first use; web, worker and beat may start at once and must agree on it."""
    path = _folder() / "secret_key"
    draft = path.with_name(f"secret_key.{os.getpid()}")
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        with suppress(FileExistsError):
            os.link(draft, path)  # Never replaces: the first process wins, and nobody reads half a key.
        draft.unlink()
    return path.read_text()


# --- Safety

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or _own_secret_key()
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])

_LOCAL_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=_LOCAL_HOSTS)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# A dashboard that only this machine can reach needs no certificate; naming any other host asks for one.
HTTPS = env.bool("HTTPS", default=not set(ALLOWED_HOSTS) <= set(_LOCAL_HOSTS))
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Only behind a proxy that always sets or strips this header; otherwise any client could claim to be encrypted.
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("TRUST_X_FORWARDED_PROTO", default=False) else None
)

# W021: whether a whole domain is preloaded by browsers is for the domain's owner to say (HSTS_PRELOAD), not for us.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}

# --- Application

INSTALLED_APPS = [
    "recovery",
    "rhdashboard",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "template_partials",
    "ninja",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "recovery.middleware.ReaderMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "recovery.middleware.PartsMiddleware",
]

ROOT_URLCONF = "rhdashboard.urls"
WSGI_APPLICATION = "rhdashboard.wsgi.application"
ASGI_APPLICATION = "rhdashboard.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTHENTICATION_BACKENDS = ["recovery.permissions.AccountBackend"]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = LOGIN_URL
# So many tries may go wrong within the time, for one name from one address; each web process counts by itself, unless
# CACHE_URL names a cache that they share.
SIGN_IN_TRIES = env.int("SIGN_IN_TRIES", default=10)
SIGN_IN_WAIT_S = env.int("SIGN_IN_WAIT_S", default=900)
# Only behind a proxy that always sets this header; otherwise whoever guesses could name another address each time.
TRUST_X_FORWARDED_FOR = env.bool("TRUST_X_FORWARDED_FOR", default=False)
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://")}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en-gb"
LANGUAGES = [("en-gb", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Storage

# 0: ten, and more in a worker that does more than five runs at once.
DATABASE_POOL_MAX_SIZE = env.int("DATABASE_POOL_MAX_SIZE", default=0)


def _database(url: str) -> dict[str, Any]:
    """Django's settings for the database at `url`, with what this project needs of each kind."""
    config: dict[str, Any] = env.db_url_config(url)
    config["ATOMIC_REQUESTS"] = False
    options: dict[str, Any] = config.setdefault("OPTIONS", {})
    if config["ENGINE"] == "django.db.backends.sqlite3":
        # FULL: a decision that was answered with "saved" is on the disk, even when the power goes.
        # IMMEDIATE: a transaction that will write waits for its turn instead of failing half way.
        options.setdefault("init_command", "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
        options.setdefault("transaction_mode", "IMMEDIATE")
        options.setdefault("timeout", 20)
    if config["ENGINE"] == "django.db.backends.postgresql":
        config["CONN_MAX_AGE"] = 0  # The pool keeps the connections, not the threads.
        config["CONN_HEALTH_CHECKS"] = True
        # The checkpoint after every step is one long statement: to plan it each time takes a third of its time.
        # 0 is never: for a PgBouncer before 1.21, which mixes up the prepared statements of its clients.
        options.setdefault("prepare_threshold", env.int("DATABASE_PREPARE_THRESHOLD", default=5) or None)
        options.setdefault("pool", {"min_size": 1, "max_size": DATABASE_POOL_MAX_SIZE or 10})
    return config


DATABASES = {"default": _database(env.str("DATABASE_URL", default="") or f"sqlite:///{_folder() / 'db.sqlite3'}")}

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": VAR_DIR / "media"}},
    "artifacts": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR_DIR / "artifacts", "file_permissions_mode": 0o600},
    },
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage",
    },
}
WHITENOISE_USE_FINDERS = DEBUG

# --- Work in the background

FILE_BROKER = "filesystem://localhost//"


def _broker() -> tuple[str, dict[str, Any]]:
    """The broker's address and options; by default messages are files, so that one machine needs no server."""
    url = env.str("CELERY_BROKER_URL", default=FILE_BROKER)
    if url != FILE_BROKER:
        return url, {}
    messages = str(_folder("broker", "messages"))
    return url, {
        "data_folder_in": messages,
        "data_folder_out": messages,
        "processed_folder": str(_folder("broker", "processed")),
        "control_folder": str(_folder("broker", "control")),
        "polling_interval": 0.05,
    }


def _seconds(name: str, default: float) -> float:
    return env.float(f"RECOVERY_{name}", default=default)


def _count(name: str, default: int) -> int:
    return env.int(f"RECOVERY_{name}", default=default)


# The product's own settings, with the unit in each name; the environment's RECOVERY_<NAME> overrides one.
RECOVERY: dict[str, Any] = {
    "LEASE_S": _seconds("LEASE_S", 15),
    "HEARTBEAT_S": _seconds("HEARTBEAT_S", 5),
    "SWEEP_S": _seconds("SWEEP_S", 5),
    "UNDO_WINDOW_S": _seconds("UNDO_WINDOW_S", 10),
    "CLAIM_S": _seconds("CLAIM_S", 1_800),
    "LARGE_VALUE_BYTES": _count("LARGE_VALUE_BYTES", 65_536),
    "ARTIFACT_INLINE_BYTES": _count("ARTIFACT_INLINE_BYTES", 4_096),
    "ARTIFACT_GRACE_S": _seconds("ARTIFACT_GRACE_S", 3_600),
    "RESUME_MAX_ATTEMPTS": _count("RESUME_MAX_ATTEMPTS", 3),
    "CLOCK_SETTLES_S": _seconds("CLOCK_SETTLES_S", 180),
    # Event streams: how often a process looks for news, says that it is there, and asks who is still signed in.
    "LIVE_LOOK_S": _seconds("LIVE_LOOK_S", 0.4),
    "LIVE_BEAT_S": _seconds("LIVE_BEAT_S", 15),
    "LIVE_SESSION_S": _seconds("LIVE_SESSION_S", 60),
    "LIVE_STREAMS": _count("LIVE_STREAMS", 2_000),
    "LIVE_STREAMS_A_PERSON": _count("LIVE_STREAMS_A_PERSON", 20),
    # The samples read files of this machine, so they are for trying things out on it: off where people run it for real.
    "SAMPLES": env.bool("RECOVERY_SAMPLES", default="DATABASE_URL" not in env.ENVIRON),
}

CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS = _broker()
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_ENABLE_REMOTE_CONTROL = CELERY_BROKER_URL != FILE_BROKER  # There it would only poll more folders.
CELERY_RESULT_BACKEND = None  # Results live in our own tables.
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = env.str("CELERY_QUEUE", default="recovery")  # Another name, when projects share a broker.
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = TIME_ZONE
# A page never waits long for a broker that is away: the outbox row is committed, and the sweep delivers it later.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.2}
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    name: {
        "task": f"recovery.{name}",
        "schedule": RECOVERY["SWEEP_S"],
        # Those that nobody could run are worthless afterwards, and must not pile up in the queue.
        "options": {"expires": 2 * RECOVERY["SWEEP_S"]},
    }
    for name in ("sweep", "attend", "post_notices")
}

# --- Mail


def _site_url() -> str:
    """Where this dashboard is, for the links in mails: the first host that has a name of its own."""
    named = [host for host in ALLOWED_HOSTS if not host.startswith((".", "*")) and host not in _LOCAL_HOSTS]
    if not named:
        return f"http://127.0.0.1:{env.int('PORT', default=8000)}"
    return f"{'https' if HTTPS else 'http'}://{named[0]}"


SITE_URL = env.str("SITE_URL", default="") or _site_url()
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="rhdashboard@localhost")
EMAIL_TIMEOUT = 20
# EMAIL_BACKEND, EMAIL_HOST and the like. Nobody is told anything by mail unless a server is given.
globals().update(env.email_url("EMAIL_URL", default="dummymail://"))

# --- Logs

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Django's own handlers (a console for DEBUG, mail to admins) would say everything twice.
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        # A line when a task arrives and one when it succeeds, for every sweep: what tasks do is logged by who does it.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
