"""The file transport of Celery, with messages and bindings that appear whole or not at all.

Its own one creates a file and fills it then: a worker that looks in between, or after a kill, finds half of the JSON
and ends.
"""

import fcntl
import os
import uuid
from pathlib import Path
from time import monotonic_ns
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps


def install() -> None:
    """Make `filesystem://` mean this transport, in this process."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **_options: Any) -> None:  # type: ignore[override]  # its bases disagree
        # They are delivered in the order of their names.
        name = f"{monotonic_ns():020}_{uuid.uuid4()}.{queue}.msg"
        _write_whole(Path(self.data_folder_out) / name, dumps(payload))

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str) -> None:
        path: Path = self._exchange_file(exchange)  # type: ignore[attr-defined]  # the stubs do not know it
        path.parent.mkdir(exist_ok=True)
        bound = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            table = self.get_table(exchange)
            if bound not in table:
                _write_whole(path, dumps([bound, *table]))


class Transport(filesystem.Transport):
    Channel = Channel


def _write_whole(path: Path, text: str) -> None:
    draft = path.with_name(f"{uuid.uuid4()}.draft")  # No queue's messages are named so.
    try:
        draft.write_text(text)
        os.replace(draft, path)
    except OSError as error:
        raise ChannelError(f"cannot write {path}: {error.strerror}") from error
