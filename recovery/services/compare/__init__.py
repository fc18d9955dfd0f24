"""Comparing two states or checkpoints: what differs, aligned by address and key."""

from recovery.services.compare.as_dict import as_dict
from recovery.services.compare.snapshots import compare
from recovery.services.compare.states import Reference, compare_states, parse_reference

__all__ = ["Reference", "as_dict", "compare", "compare_states", "parse_reference"]
