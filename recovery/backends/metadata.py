"""What people know a state by: in columns and tags for lists, and as JSON in the checkpoint that changed it."""

import json
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from recovery.backends.rows import check_texts, state_uuid
from recovery.models import State, Tag
from rh_agents.core.errors import CorruptStateError, SerializationError
from rh_agents.core.serialization import decode, encode
from rh_agents.core.state_recovery import StateMetadata


def metadata_text(metadata: StateMetadata) -> str:
    data = metadata.model_dump(exclude={"custom_data"}, exclude_defaults=True)
    if metadata.custom_data:
        data["custom_data"] = encode(metadata.custom_data, where="custom_data")
    return json.dumps(data)


def read_metadata(text: str, state_id: uuid.UUID) -> StateMetadata:
    """The inverse of `metadata_text`.

    Raises:
        CorruptStateError: the text is damaged.
        SerializationError: `custom_data` holds a value of a class that this process does not know.
    """
    try:
        data = json.loads(text)
        data["custom_data"] = read_custom_data(data.get("custom_data", ""), state_id)
        return StateMetadata(**data)
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, SerializationError):
            raise
        raise CorruptStateError(f"state {state_id} is damaged: its metadata cannot be read: {error!r}") from error


def read_custom_data(text: str, state_id: uuid.UUID) -> dict[str, Any]:
    if not text:
        return {}
    try:
        custom_data = decode(text)
    except SerializationError as error:
        raise SerializationError(f"custom_data of state {state_id}: {error}") from error
    if not isinstance(custom_data, dict):
        raise CorruptStateError(f"state {state_id} is damaged: its custom_data is a {type(custom_data).__name__}")
    return custom_data


def state_columns(metadata: StateMetadata) -> dict[str, Any]:
    """The columns of `State` that hold it, but for the tags.

    Raises:
        ValueError: a text that no database holds, or a parent that is no state id.
    """
    check_texts((metadata.pipeline_name, metadata.description), ("pipeline_name", "description"), "metadata")
    for tag in metadata.tags:
        check_texts((tag,), ("tag",), "metadata")
    return {
        "pipeline": metadata.pipeline_name,
        "description": metadata.description,
        "parent_id": state_uuid(metadata.parent_state_id) if metadata.parent_state_id else None,
        "custom_data": encode(metadata.custom_data, where="custom_data") if metadata.custom_data else "",
    }


def write_tags(state_id: uuid.UUID, tags: Iterable[str], awaiting_at: datetime | None) -> None:
    """Replace them all: their order is that of their rows."""
    Tag.objects.filter(state_id=state_id).delete()
    Tag.objects.bulk_create(Tag(state_id=state_id, tag=tag, awaiting_at=awaiting_at) for tag in tags)


def tags_of(state_id: uuid.UUID) -> list[str]:
    return list(Tag.objects.filter(state_id=state_id).order_by("pk").values_list("tag", flat=True))


def joined(state: State, metadata: StateMetadata | None) -> StateMetadata:
    """The metadata of a run's first checkpoint: what its row said before, and what the run now says itself."""
    given = metadata or StateMetadata()
    return StateMetadata(
        tags=[*tags_of(state.pk), *given.tags],
        description=given.description or state.description,
        pipeline_name=state.pipeline or given.pipeline_name,
        parent_state_id=str(state.parent_id) if state.parent_id else given.parent_state_id,
        custom_data=given.custom_data or read_custom_data(state.custom_data, state.pk),
    )


def kept_in_its_pipeline(state_id: uuid.UUID, metadata: StateMetadata) -> StateMetadata:
    """A run of a registered pipeline stays one, and its parent's child: metadata of a pause made by hand seldom
    repeat either, and the dashboard could not resume it without."""
    started = State.objects.filter(pk=state_id).exclude(input="").only("pipeline", "parent_id").first()
    if started is None:
        return metadata
    kept = {
        "pipeline_name": started.pipeline or metadata.pipeline_name,
        "parent_state_id": str(started.parent_id) if started.parent_id else metadata.parent_state_id,
    }
    return metadata.model_copy(update=kept)
