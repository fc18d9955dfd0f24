"""Comparing what is stored: two states, or any two checkpoints of them."""

import re
from typing import NamedTuple
from uuid import UUID

from django.utils.translation import gettext

from recovery.backends import DjangoStateBackend
from recovery.errors import NotASide
from recovery.models import Artifact, Checkpoint, State
from recovery.services.compare.comparison import Comparison
from recovery.services.compare.snapshots import compare
from recovery.services.compare.values import LARGEST_VALUE, NotComparable
from rh_agents.core.errors import CorruptStateError, IncompatibleVersionError
from rh_agents.core.serialization import EncodedArtifact
from rh_agents.core.state_recovery import StateSnapshot

REFERENCE = re.compile(r"([0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12})(?:@([0-9]{1,9}))?", re.IGNORECASE | re.ASCII)


class Reference(NamedTuple):
    """A state, or with a `checkpoint` what stood at that one."""

    state_id: str
    checkpoint: int | None = None

    def __str__(self) -> str:
        return self.state_id if self.checkpoint is None else f"{self.state_id}@{self.checkpoint}"


def parse_reference(text: str, side: str) -> Reference:
    """Of `<state id>` or `<state id>@<checkpoint>`.

    Raises:
        NotASide: it is neither.
    """
    match = REFERENCE.fullmatch(text.strip())
    if match is None:
        raise NotASide(
            side,
            text,
            gettext("%(text)s is no id of a state, nor an id and a checkpoint as in <id>@3")
            % {"text": f"{text.strip()[:100]!r}"},
        )
    state_id, checkpoint = match.groups()
    return Reference(str(UUID(state_id)), None if checkpoint is None else int(checkpoint))


def compare_states(left: str, right: str) -> Comparison:
    """What differs between two states or checkpoints, each given as `<state id>` or `<state id>@<checkpoint>`.

    Raises:
        NotASide: one of them is malformed, unknown or cannot be read; names which and why.
    """
    references = parse_reference(left, "left"), parse_reference(right, "right")
    snapshots = _load(references[0], "left"), _load(references[1], "right")
    return compare(*snapshots, load_artifact=load_encoded, forked_from=_forked_from(*snapshots))


def check_side(reference: Reference, side: str) -> None:
    """Whether it is there, without reading it.

    Raises:
        NotASide: it is unknown.
    """
    head = State.objects.filter(pk=reference.state_id).values_list("head", flat=True).first()
    if head is None or reference.checkpoint not in (None, head):
        rows = Checkpoint.objects.filter(state_id=reference.state_id, number=reference.checkpoint or 0)
        if not rows.exists():
            raise NotASide(side, str(reference), _why_unknown(reference))


def load_encoded(artifact_id: str) -> EncodedArtifact | None:
    """An artifact as it is stored, `None` if there is none.

    Raises:
        NotComparable: it is too large to be compared, or its file is gone.
    """
    found = Artifact.objects.filter(pk=artifact_id).defer("inline").first()
    if found is None:
        return None
    if found.size > LARGEST_VALUE:
        raise NotComparable(
            gettext("Of %(size)s bytes, more than %(largest_value)s are not compared inside.")
            % {"size": f"{found.size:,}", "largest_value": f"{LARGEST_VALUE:,}"}
        )
    try:
        return EncodedArtifact(found.codec, found.read(), found.media_type)
    except FileNotFoundError:
        raise NotComparable(gettext("The file of the artifact %(found)s is gone.") % {"found": found}) from None


def _load(reference: Reference, side: str) -> StateSnapshot:
    backend = DjangoStateBackend()
    try:
        if reference.checkpoint is None:
            snapshot = backend.load_state(reference.state_id)
        else:
            snapshot = backend.load_checkpoint(reference.state_id, reference.checkpoint)
    except (CorruptStateError, IncompatibleVersionError) as error:
        raise NotASide(side, str(reference), gettext("it cannot be read: %(error)s") % {"error": error}) from error
    if snapshot is None:
        raise NotASide(side, str(reference), _why_unknown(reference))
    return snapshot


def _why_unknown(reference: Reference) -> str:
    head = State.objects.filter(pk=reference.state_id).values_list("head", flat=True).first()
    if head is None:
        return gettext("there is no state %(state_id)s") % {"state_id": reference.state_id}
    return gettext("state %(state_id)s has no checkpoint %(checkpoint)s; its newest is %(head)s") % {
        "state_id": reference.state_id,
        "checkpoint": reference.checkpoint,
        "head": head,
    }


def _forked_from(left: StateSnapshot, right: StateSnapshot) -> str:
    """The address at which one of them was forked from the other, "" if neither was."""
    for parent, child in ((left, right), (right, left)):
        if parent.state_id != child.state_id and child.metadata.parent_state_id == parent.state_id:
            return State.objects.filter(pk=child.state_id).values_list("forked_from_address", flat=True).first() or ""
    return ""
