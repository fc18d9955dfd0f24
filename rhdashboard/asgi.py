"""Pages and event streams from one process, for an ASGI server: for one machine. See also `streams`."""

import os
from collections.abc import AsyncIterator, Iterable
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rhdashboard.settings")

django.setup(set_prefix=False)
# Its modules need the models, which are there only now.
streams = import_string("recovery.live.stream.streams")
PATH = import_string("recovery.live.stream.PATH")


class Pages(ASGIHandler):
    async def get_response_async(self, request: Any) -> Any:
        response: Any = await super().get_response_async(request)
        if response.streaming and not response.is_async:
            # Django would read a whole file before the first byte of it goes out.
            response.streaming_content = _piece_by_piece(response.streaming_content)
        return response


async def _piece_by_piece(content: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Each piece is read on the thread of the view that gave the content."""
    pieces = iter(content)
    read: Any = sync_to_async(next)
    while (piece := await read(pieces, None)) is not None:
        yield piece


pages = Pages()


async def application(scope: Any, receive: Any, send: Any) -> None:
    answers = streams if scope["type"] == "http" and scope["path"] == PATH else pages
    await answers(scope, receive, send)
