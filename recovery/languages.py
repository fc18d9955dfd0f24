"""Texts that stand in a module: translated each time they are shown, for whoever reads them then."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Django gives them a type of their own; they do for a text wherever one is shown.
    def lazy(text: str) -> str: ...
else:
    from django.utils.translation import gettext_lazy as lazy

__all__ = ["lazy"]
