"""What a text column takes: every database refuses the same texts, before it is asked."""

from collections.abc import Iterable
from typing import Any

from django.db import models

from rh_agents.core.texts import check_text


class PlainlyRefused(models.Model):
    """A row whose texts are checked when it is saved.

    PostgreSQL refuses a NUL, a lone surrogate and what is longer than its column with an error that names no column;
    SQLite takes two of the three. Here all are a ValueError that names it.
    """

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.check_texts(kwargs.get("update_fields"))
        super().save(*args, **kwargs)

    def check_texts(self, names: Iterable[str] | None = None) -> None:
        """Raises ValueError, naming the column, for a text among `names` (all by default) that no database holds."""
        wanted = None if names is None else set(names)
        for field in self._meta.concrete_fields:
            if not isinstance(field, models.CharField | models.TextField):
                continue
            # A deferred one is not in the dictionary, and came out of the database anyway.
            text = self.__dict__.get(field.attname)
            if isinstance(text, str) and (wanted is None or field.name in wanted):
                check_text(text, f"{type(self).__name__}.{field.name}", field.max_length)
