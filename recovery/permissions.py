"""Who may do what. Each predicate gives the reason why not, or "" for yes."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission
from django.db.models import Exists, F, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils.translation import gettext

from recovery.models import ApprovalRequest, Delegation
from recovery.models.lists import ListOf
from recovery.models.prepared import Prepared
from recovery.models.voices import DECIDE as DECIDE
from rh_agents.core.policy import Policy

# Whom a refusal names; a policy may name thousands.
NAMED_AT_MOST = 10


@dataclass(frozen=True, slots=True)
class Say:
    """Why somebody may not decide, or, where `why_not` is empty, for whom they do so if not for themselves."""

    why_not: str = ""
    on_behalf_of: Any = None


class AccountBackend(ModelBackend):
    """Django's accounts. A person comes with their permissions, their settings, the names of their groups and whether
    they stand in for somebody: every page asks for them. To anybody else permissions are read at once."""

    def get_user(self, user_id: Any) -> Any:
        user = _PERSON.first(user=user_id)
        if user is None or not self.user_can_authenticate(user):
            return None
        held, groups, stands_in = (user.__dict__.pop(name) for name in ("granted", "group_names", "stands_in"))
        user.known_groups = None if stands_in else groups
        if not user.is_superuser:
            # Where Django's backend keeps them once it has asked.
            user._perm_cache = set(held)
        return user

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not user_obj.is_active or user_obj.is_superuser or obj is not None or hasattr(user_obj, "_perm_cache"):
            return super().get_all_permissions(user_obj, obj)
        user_obj._perm_cache = {name for (name,) in _GRANTED.all(user=user_obj.pk)}
        return set(user_obj._perm_cache)


def _names_granted_to(user: Any) -> QuerySet[Any, Any]:
    own = get_user_model().user_permissions.through._default_manager.filter(user=user)
    of_groups = Permission.group_set.through._default_manager.filter(group__user=user)
    granted = Permission.objects.filter(
        Q(pk__in=own.values("permission")) | Q(pk__in=of_groups.values("permission"))
    ).order_by()
    return granted.values_list(Concat(F("content_type__app_label"), Value("."), F("codename")))


_PERSON = Prepared(
    lambda given: (
        get_user_model()
        ._default_manager.filter(pk=given.user)
        .select_related("reader")
        .annotate(
            granted=ListOf(_names_granted_to(given.user)),
            group_names=ListOf(Group.objects.filter(user=given.user).order_by().values("name")),
            stands_in=Exists(Delegation.objects.active().filter(taker=given.user)),
        )
    ),
    user=int,
)
_GRANTED = Prepared(lambda given: _names_granted_to(given.user), user=int)


def why_not_decide(user: Any, request: ApprovalRequest) -> str:
    return say_of(user, request).why_not


def say_of(user: Any, request: ApprovalRequest) -> Say:
    """What `user` has to say about `request`."""
    if not user.is_active:
        return Say(gettext("Your account is not active."))
    if not user.has_perm(DECIDE):
        return Say(gettext("You are not among those who decide requests."))
    if request.requested_by_id == user.pk and not request.self_approval:
        return Say(gettext("You started this run, and the requester may not decide."))
    if request.open_to_all or _is_named(user, request):
        return Say()
    for delegation in Delegation.objects.active().for_pipeline(request.pipeline).filter(taker=user):
        giver = delegation.giver
        is_requester = request.requested_by_id == giver.pk and not request.self_approval
        may_decide = giver.is_active and not is_requester and giver.has_perm(DECIDE)
        if may_decide and request.deciders.naming(giver).exists():
            return Say(on_behalf_of=giver)
    names = [str(one) for one in request.deciders.order_by("pk")[: NAMED_AT_MOST + 1]]
    who = ", ".join(names[:NAMED_AT_MOST]) or gettext("nobody")
    return Say(
        gettext("The policy leaves this to %(who)s%(count)s.")
        % {"who": who, "count": gettext(" and others") if len(names) > NAMED_AT_MOST else ""}
    )


def _is_named(user: Any, request: ApprovalRequest) -> bool:
    # A page that was read for this person came with the answer.
    known: dict[Any, bool] = getattr(request, "named", {})
    return known[user.pk] if user.pk in known else request.deciders.naming(user).exists()


def policy_of(request: ApprovalRequest) -> Policy:
    """The policy that was kept with `request`."""
    return Policy.combined(request.policy)


def holders_of(permission: str) -> QuerySet[Any]:
    """The active people who have a permission, by themselves or by a group; some may come twice."""
    app, codename = permission.split(".")

    def has(where: str) -> Q:
        return Q(**{f"{where}__codename": codename, f"{where}__content_type__app_label": app})

    people = get_user_model()._default_manager.filter(is_active=True)
    ids = people.filter(Q(is_superuser=True) | has("user_permissions") | has("groups__permissions")).values("pk")
    return people.filter(pk__in=ids)


def why_not_start(user: Any) -> str:
    """Starting runs, and trying failed ones again."""
    return "" if user.has_perm("recovery.start_state") else gettext("You are not among those who start runs.")
