"""`manage.py serve`: pages and event streams from one process, or the streams alone beside a WSGI server of pages."""

import asyncio
import os
import signal
import socket
from argparse import ArgumentParser
from types import FrameType
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand
from django.utils.module_loading import import_string

from recovery.live.stream import streams

# For answers that are on their way; streams end at once.
GRACE_S = 5


class Command(BaseCommand):
    help = "Serve the event streams, and unless told otherwise the pages too. SIGTERM and Ctrl-C end it gracefully."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
        parser.add_argument("--port", type=int, default=os.environ.get("PORT", "8000"))
        parser.add_argument("--only-streams", action="store_true", help="answer /live/ and nothing else")

    def handle(self, *_args: Any, host: str, port: int, only_streams: bool, **_options: Any) -> None:
        application = import_string(f"rhdashboard.{'streams' if only_streams else 'asgi'}.application")
        config = uvicorn.Config(
            application,
            host=host,
            port=port,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            # Who may say that a connection was encrypted is a setting of the project (TRUST_X_FORWARDED_PROTO).
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        asyncio.run(_Server(config).serve())


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # It waits for all answers to end, and a stream never does by itself.
        streams.close()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Not remembered: it would be raised again in the end, and being asked to stop is no failure."""
        self.force_exit = self.force_exit or (self.should_exit and sig == signal.SIGINT)
        self.should_exit = True
