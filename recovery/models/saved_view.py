"""A place in the inbox that somebody comes back to: the filters of its address, under a name."""

from django.conf import settings
from django.db import models

from recovery.models.texts import PlainlyRefused


class SavedView(PlainlyRefused):
    """`query` is that of the inbox's address, as its filters write it: read again it is checked again."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views", db_index=False
    )
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="view_name_once")]

    def __str__(self) -> str:
        return self.name
