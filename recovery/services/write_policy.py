"""What admins say about decisions: written down with what was said before, then applied to what is open."""

from collections.abc import Iterator
from typing import Any

from django.db import transaction
from pydantic import ValidationError

from recovery import pipelines
from recovery.models import PipelinePolicy
from recovery.services import audit
from recovery.services.policies import admins_policy, as_json, tighten_open_requests
from rh_agents.core.policy import Policy

ALL = "all pipelines"


def save_policy(row: PipelinePolicy, *, by: Any, channel: str = "admin") -> None:
    """Save what an admin says; open requests are left as they are, see `tighten_open`."""
    with transaction.atomic():
        before = PipelinePolicy.objects.filter(pk=row.pk).first() if row.pk else None
        row.changed_by = by
        row.save()
        _record(row, before, row, by, channel)


def delete_policy(row: PipelinePolicy, *, by: Any, channel: str = "admin") -> None:
    """What is open already keeps its rules."""
    with transaction.atomic():
        PipelinePolicy.objects.filter(pk=row.pk).delete()
        _record(row, row, None, by, channel)


def tighten_open(pipeline: str, *, by: Any, channel: str = "admin") -> int:
    """Make open requests as strict as what admins say now; how many changed. Not inside of a transaction: each has its
    own, and locks that it holds for a moment only."""
    said = admins_policy(pipeline)
    changed = tighten_open_requests(pipeline, said, by=by, channel=channel) if said is not None else 0
    if pipeline:
        return changed
    others = PipelinePolicy.objects.exclude(pipeline="").order_by("pipeline").values_list("pipeline", flat=True)
    return changed + sum(tighten_open(name, by=by, channel=channel) for name in list(others))


def clashes(pipeline: str, policy: Policy) -> list[str]:
    """Where `policy`, as what an admin says about `pipeline`, does not go together with what else applies there."""
    found = []
    for name, parts in _combined(pipeline, policy):
        try:
            Policy(**merge(parts).given())
        except ValidationError as error:
            reasons = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
            found.append(f"Together with what else is said about {name or ALL}: {reasons}.")
    return found


def layers_of(pipeline: str, own: Policy | None = None) -> list[tuple[str, Policy]]:
    """(who says it, what), the strongest first. `own`: instead of what is saved about this very pipeline."""
    rows = {row.pipeline: row.policy for row in PipelinePolicy.objects.filter(pipeline__in={"", pipeline})}
    if own is not None:
        rows[pipeline] = own
    layers = [("this policy" if pipeline == "" else "all pipelines", rows[""])] if "" in rows else []
    if pipeline and pipeline in rows:
        layers.insert(0, ("this policy", rows[pipeline]))
    known = pipelines.find(pipeline)
    if known is not None and known.policy is not None:
        layers.append(("the pipeline’s code", known.policy))
    return layers


def merge(layers: list[tuple[str, Policy]]) -> Policy:
    merged = Policy()
    for _, policy in reversed(layers):
        merged = policy.over(merged)
    return merged


def _combined(pipeline: str, policy: Policy) -> Iterator[tuple[str, list[tuple[str, Policy]]]]:
    if pipeline:
        yield pipeline, layers_of(pipeline, policy)
        return
    named = {one.name for one in pipelines.all_pipelines() if one.policy is not None}
    named |= set(PipelinePolicy.objects.exclude(pipeline="").values_list("pipeline", flat=True))
    for name in sorted(named):
        layers = [layer for layer in layers_of(name) if layer[0] != "all pipelines"]
        place = len([layer for layer in layers if layer[0] == "this policy"])
        yield name, [*layers[:place], ("all pipelines", policy), *layers[place:]]


def _record(
    row: PipelinePolicy, before: PipelinePolicy | None, after: PipelinePolicy | None, by: Any, channel: str
) -> None:
    audit.record(
        "policy_changed",
        by=by,
        channel=channel,
        pipeline=row.pipeline or ALL,
        before=_said(before),
        after=_said(after),
        note=after.note if after is not None else "",
    )


def _said(row: PipelinePolicy | None) -> dict[str, Any] | None:
    if row is None:
        return None
    policy = row.policy
    whole = as_json(policy)
    return {name: whole[name] for name in whole if name in policy.given()}
