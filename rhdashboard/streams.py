"""The event streams alone, for an ASGI server beside the one that serves the pages under WSGI."""

import os
from typing import Any

import django
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rhdashboard.settings")

django.setup()
# Its modules need the models, which are there only now.
streams = import_string("recovery.live.stream.streams")
PATH = import_string("recovery.live.stream.PATH")

_NOTHING = {"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]}


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError(f"there is nothing here that speaks {scope['type']}")
    if scope["path"] == PATH:
        return await streams(scope, receive, send)
    await send(_NOTHING)
    await send({"type": "http.response.body", "body": b"Only event streams are served here.\n"})
