"""In whose name somebody decides: in their own, and for a time in that of those for whom they stand in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db.models import Exists, F, Q, QuerySet, Value
from django.db.models.functions import Concat

DECIDE = "recovery.decide_approvalrequest"


@dataclass(frozen=True, slots=True)
class Voice:
    """A person whose say is used: `groups` and `permissions` are names, or queries for them; `permissions` is `None`
    for who has all of them. `pipeline`: of this one only, where it is given."""

    user_id: int
    username: str
    groups: Any
    permissions: Any
    pipeline: str = ""
    is_own: bool = True

    @classmethod
    def of_giver(cls, giver_id: int, username: str, pipeline: str, has_all: bool) -> Self:
        groups = Group.objects.filter(user=giver_id).values("name")
        held = Permission.objects.filter(Q(user=giver_id) | Q(group__user=giver_id))
        named = held.annotate(named=Concat(F("content_type__app_label"), Value("."), F("codename"))).values("named")
        return cls(giver_id, username, groups, None if has_all else named, pipeline, is_own=False)

    def named(self) -> QuerySet[Any]:
        """The entries of requests that let this person decide."""
        # Each of the three is found by the index on them: an entry names one thing, and the others are empty.
        by_name = Q(group="", username=self.username) | Q(group__in=self.groups)
        if self.permissions is None:
            by_permission = ~Q(permission="")
        else:
            by_permission = Q(group="", username="", permission__in=self.permissions)
        return _model("RequestDecider").filter(by_name | by_permission)

    def lends(self) -> Q:
        """The requests that a policy leaves to this person, and that whoever stands in for them may decide."""
        theirs = Q(pk__in=self.named().values("request"))
        if self.is_own:
            return theirs
        if self.pipeline:
            theirs &= Q(pipeline=self.pipeline)
        theirs &= Q(requested_by__isnull=True) | ~Q(requested_by=self.user_id) | Q(self_approval=True)
        if self.permissions is None:
            return theirs
        app, codename = DECIDE.split(".")
        may = Permission.objects.filter(codename=codename, content_type__app_label=app)
        return theirs & Q(Exists(may.filter(Q(user=self.user_id) | Q(group__user=self.user_id))))


def voices_of(user: Any) -> Sequence[Voice]:
    """Their own first. One query, whatever they are and for how many they stand in; none for somebody who came with
    `known_groups`: see `AccountBackend`."""
    if (known := getattr(user, "known_groups", None)) is not None:
        return [_own_voice(user, known)]
    groups = Group.objects.filter(user=user).order_by()
    givers = _model("Delegation").active().filter(taker=user, giver__is_active=True).order_by()
    rows = list(
        groups.annotate(giver=Value(0), has_all=Value(False), limit=Value(""))
        .values_list("giver", "name", "limit", "has_all")
        .union(givers.values_list("giver", "giver__username", "pipeline", "giver__is_superuser"), all=True)
    )
    own = _own_voice(user, [name for giver, name, _, _ in rows if not giver])
    return [own, *(Voice.of_giver(*row) for row in rows if row[0])]


def _own_voice(user: Any, groups: Sequence[str]) -> Voice:
    permissions = None if user.is_superuser else sorted(user.get_all_permissions())
    return Voice(user.pk, user.get_username(), groups, permissions)


def _model(name: str) -> Any:
    # Looked up by name: the module of these imports that of requests, which asks here.
    return apps.get_model("recovery", name)._default_manager
