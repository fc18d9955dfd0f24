"""Rules that decide by themselves: written by an admin, for a time, counted, and recorded like anybody's decision."""

import logging
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from recovery.errors import AlreadyResolved, InvalidInput
from recovery.models import ApprovalRequest, AutoRule, Decision, ProposalVersion
from recovery.models.access import AutoRuleQuerySet
from recovery.services import audit
from recovery.services.actors import Actor
from recovery.services.conditions import Condition, all_hold, read_conditions
from recovery.services.decide import Outcome, decide
from rh_agents.core.serialization import to_plain

logger = logging.getLogger(__name__)

CHANNEL = "rule"
PREVIEW_AT_MOST = 500
# What a rule says, apart from how often it was used.
TERMS = ("name", "pipeline", "action", "conditions", "kind", "comment", "max_risk", "starts_at", "ends_at", "max_uses")


def decide_by_rules(request: ApprovalRequest) -> Outcome | None:
    """Let the first rule that matches decide `request`, which was just opened in the running transaction; the outcome,
    or `None` where people have to decide.

    Whatever is wrong with a rule stops neither the others nor the run from pausing.
    """
    rules = _rules_for(request)
    try:
        with transaction.atomic():
            candidates = list(rules)
            plain = _arguments(request) if candidates else None
    except Exception as error:
        _record_failure(request, None, error)
        return None
    for rule in candidates:
        try:
            with transaction.atomic():
                outcome = _use(rule, request, plain)
        except AlreadyResolved:
            # A rule has just rejected another one, and this was cancelled with it.
            return None
        except Exception as error:
            _record_failure(request, rule, error)
            continue
        if outcome is not None:
            return outcome
    return None


def _rules_for(request: ApprovalRequest) -> AutoRuleQuerySet:
    """Those that say no before those that say yes. One made by whoever started the run would be their own say."""
    rules = AutoRule.objects.active().filter(
        pipeline=request.pipeline, action__in=("", request.action), max_risk__gte=request.risk
    )
    if request.requested_by_id is not None:
        rules = rules.exclude(created_by=request.requested_by_id)
    return rules.order_by("-kind", "pk")


def _use(rule: AutoRule, request: ApprovalRequest, plain: Any) -> Outcome | None:
    if not all_hold(read_conditions(rule.conditions), plain):
        return None
    # Everybody who changes rules takes the end of the audit first, so that nobody waits for each other in a circle.
    audit.hold()
    if not AutoRule.objects.active().filter(pk=rule.pk).update(uses=F("uses") + 1):
        return None
    actor = Actor(Decision.ActorKind.RULE, rule.name, rule=rule)
    return decide(request.pk, by=actor, kind=rule.kind, comment=rule.comment, channel=CHANNEL)


def _arguments(request: ApprovalRequest) -> Any:
    version = ProposalVersion.objects.filter(request=request).order_by("-number").values_list("args", flat=True)
    return to_plain(version[0])


def _record_failure(request: ApprovalRequest, rule: AutoRule | None, error: Exception) -> None:
    logger.warning("%s did not decide request %s", f"rule {rule.pk}" if rule else "rules", request.pk, exc_info=error)
    try:
        with transaction.atomic():
            audit.record(
                "rule_failed",
                channel=CHANNEL,
                state_id=request.state_id,
                request_id=request.pk,
                rule=rule.pk if rule else None,
                name=rule.name if rule else "",
                error=f"{type(error).__name__}: {error}",
            )
    except Exception:
        logger.exception("the failure of rules about request %s was not recorded", request.pk)


# ---- Writing rules ----


def save_rule(rule: AutoRule, *, by: Any, channel: str = "admin") -> None:
    """Save a rule that an admin wrote or changed. Whoever changes what it says stands for it from then on.

    Raises:
        InvalidInput: its conditions are none, or it was used more often than it may be from now on.
    """
    read_conditions(rule.conditions)
    with transaction.atomic():
        audit.hold()
        before = AutoRule.objects.filter(pk=rule.pk).first() if rule.pk else None
        after = terms_of(rule)
        if before is None:
            rule.created_by = by
            rule.save(force_insert=True)
            audit.record("rule_created", by=by, channel=channel, rule=rule.pk, after=after)
            return
        if before.uses > rule.max_uses:
            raise InvalidInput({"max_uses": [f"It was used {before.uses}× already."]}, "the rule")
        if after == terms_of(before):
            return
        rule.created_by = by
        # What was counted meanwhile stays counted.
        rule.save(update_fields=[*TERMS, "created_by"])
        audit.record("rule_changed", by=by, channel=channel, rule=rule.pk, before=terms_of(before), after=after)


def revoke_rule(rule: AutoRule, *, by: Any, channel: str = "admin") -> bool:
    """End a rule now; whether it was not over yet."""
    with transaction.atomic():
        audit.hold()
        standing = AutoRule.objects.filter(pk=rule.pk, revoked_at__isnull=True)
        if not standing.update(revoked_at=timezone.now(), revoked_by=by):
            return False
        audit.record("rule_revoked", by=by, channel=channel, rule=rule.pk, name=rule.name, uses=rule.uses)
        return True


def delete_unused_rule(rule: AutoRule, *, by: Any, channel: str = "admin") -> bool:
    """Delete a rule that has decided nothing; whether it was deleted."""
    with transaction.atomic():
        audit.hold()
        pk = rule.pk
        unused = AutoRule.objects.filter(pk=pk, uses=0, decisions__isnull=True)
        if not unused.exists():
            return False
        AutoRule.objects.filter(pk=pk).delete()
        audit.record("rule_deleted", by=by, channel=channel, rule=pk, before=terms_of(rule))
        return True


def terms_of(rule: AutoRule) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value := getattr(rule, name), "isoformat") else value for name in TERMS}


def preview(rule: AutoRule) -> tuple[int, int]:
    """(how many open requests it matches now, how many were looked at: `PREVIEW_AT_MOST` of its pipeline at most)."""
    conditions = read_conditions(rule.conditions)
    asked = ApprovalRequest.objects.open().filter(pipeline=rule.pipeline)
    rows = asked.order_by("-opened_at").only("id", "action", "risk", "version", "requested_by_id")[:PREVIEW_AT_MOST]
    requests = list(rows)
    arguments = {
        (request, number): args
        for request, number, args in ProposalVersion.objects.filter(request__in=requests).values_list(
            "request_id", "number", "args"
        )
    }
    matched = [one for one in requests if _would_match(rule, conditions, one, arguments.get((one.pk, one.version)))]
    return len(matched), len(requests)


def _would_match(rule: AutoRule, conditions: Sequence[Condition], request: ApprovalRequest, args: str | None) -> bool:
    if rule.action not in ("", request.action) or request.risk > rule.max_risk or args is None:
        return False
    by = rule.created_by_id
    return (by is None or request.requested_by_id != by) and all_hold(conditions, to_plain(args))
