"""Who is signed in, with what they may do: one look-up a page instead of three."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission
from django.db.models import F, OuterRef, Q, Value
from django.db.models.functions import Concat

from recovery.models.subqueries import ListOf


class SignIn(ModelBackend):
    """Django's own, but a person comes with their permissions instead of being asked for them twice."""

    def get_user(self, user_id: Any) -> Any:
        people = get_user_model()
        own = people.user_permissions.through._default_manager.filter(user=OuterRef(OuterRef("pk")))
        of_groups = Permission.group_set.through._default_manager.filter(group__user=OuterRef(OuterRef("pk")))
        granted = Permission.objects.filter(
            Q(pk__in=own.values("permission")) | Q(pk__in=of_groups.values("permission"))
        ).order_by()
        names = granted.values(in_full=Concat(F("content_type__app_label"), Value("."), F("codename")))
        user: Any = people._default_manager.filter(pk=user_id).annotate(granted=ListOf(names, "in_full")).first()
        if user is None or not self.user_can_authenticate(user):
            return None
        held = user.__dict__.pop("granted")
        if not user.is_superuser:
            # Where Django's backend keeps them once it has asked.
            user._perm_cache = set(held or ())
        return user
