"""The registry: what can be run."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from recovery import pipelines
from recovery.api.shapes import PipelineList

router = Router(tags=["pipelines"])


@router.get("", response=PipelineList)
def list_pipelines(request: HttpRequest) -> dict[str, Any]:
    """In the order of their titles. `input_schema` is the JSON Schema of what a run is started with."""
    return {
        "items": [
            {
                "name": one.name,
                "title": one.title,
                "description": one.description,
                "version": one.version,
                "input_schema": one.input_model.model_json_schema(),
            }
            for one in pipelines.all_pipelines()
        ]
    }
