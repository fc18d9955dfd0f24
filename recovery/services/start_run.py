"""Starting a run: the input is validated, the run is written down, a worker takes it on."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext
from pydantic import BaseModel, ValidationError

from recovery import dispatch, pipelines
from recovery.errors import InvalidInput
from recovery.models import Resumption, State, Tag
from recovery.services import audit
from rh_agents.core.approvals import as_model
from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import encode
from rh_agents.core.state_recovery import StateMetadata


def start_run(
    pipeline_name: str,
    input_data: Any,
    *,
    by: Any = None,
    description: str = "",
    tags: Sequence[str] = (),
    channel: str = "web",
    state_id: uuid.UUID | None = None,
) -> State:
    """Start a run of a registered pipeline. `input_data`: an instance of its input model, or a dict.

    A caller that names the `state_id` may send the same start twice: the second time it gets the run of the first.

    Raises:
        UnknownPipeline: none is registered under that name.
        InvalidInput: the input, the description or a tag does not validate, or the `state_id` is that of another
            run; nothing was started.
    """
    pipeline = pipelines.get(pipeline_name)
    validated = _validated(pipeline.input_model, input_data)
    metadata = _metadata(pipeline, description, tags)
    now = timezone.now()
    state = State(
        id=state_id or uuid.uuid4(),
        pipeline=pipeline.name,
        pipeline_version=pipeline.version,
        status=State.Status.RUNNING,
        description=metadata.description,
        input=_encoded(validated),
        started_by=by,
        created_at=now,
        updated_at=now,
    )
    try:
        with transaction.atomic():
            state.save(force_insert=True)
            Tag.objects.bulk_create([Tag(state=state, tag=tag) for tag in metadata.tags])
            Resumption.objects.create(state=state, kind=Resumption.Kind.START, not_before=now, created_at=now)
            dispatch.hand_over(state.pk)
            audit.record("started", by=by, channel=channel, state_id=state.pk, pipeline=pipeline.name)
    except IntegrityError:
        # The key of the table is what decides which of two equal starts is the first.
        first = State.objects.filter(pk=state.pk).first()
        if first is None:
            raise
        if (first.pipeline, first.started_by_id, first.input) != (state.pipeline, state.started_by_id, state.input):
            # Whose it is and what it is about is nobody's business here.
            raise InvalidInput({"state_id": [gettext("There is a run of this id, and it is not this one.")]}) from None
        return first
    return state


def _validated(model: type[BaseModel], input_data: Any) -> BaseModel:
    try:
        return as_model(model, input_data)
    except ValidationError as error:
        errors: dict[str, list[str]] = {}
        for one in error.errors(include_url=False):
            errors.setdefault(".".join(str(part) for part in one["loc"]), []).append(one["msg"])
        raise InvalidInput(errors) from error


def _metadata(pipeline: pipelines.Pipeline, description: str, tags: Sequence[str]) -> StateMetadata:
    try:
        return StateMetadata(
            pipeline_name=pipeline.name, description=description or pipeline.title, tags=[tag.strip() for tag in tags]
        )
    except ValidationError as error:
        raise InvalidInput({str(one["loc"][0]): [one["msg"]] for one in error.errors(include_url=False)}) from error


def _encoded(input_data: BaseModel) -> str:
    try:
        return encode(input_data, where="the input")
    except SerializationError as error:
        raise InvalidInput({"": [str(error)]}) from error
