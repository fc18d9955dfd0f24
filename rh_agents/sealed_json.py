"""A line of JSON that carries a checksum of itself in front: `{"check":"<16 hex digits>","key":...}`."""

import json
from hashlib import blake2b
from typing import Any

from rh_agents.core import json_text

_CHECKSUM_BYTES = 8
_FRONT = b'{"check":"%s",'
FRONT_LENGTH = len(_FRONT % b"") + 2 * _CHECKSUM_BYTES


def seal(record: dict[str, Any]) -> bytes:
    """The line of a record that has at least one key; without a line break."""
    body = _dumps(record).removeprefix(b"{")
    return _front(body) + body


def is_sealed(line: bytes) -> bool:
    """Whether not a byte of it has changed."""
    return line[:FRONT_LENGTH] == _front(line[FRONT_LENGTH:])


def unseal(line: bytes) -> dict[str, Any]:
    """
    Raises:
        ValueError: the line is damaged.
    """
    if not is_sealed(line):
        raise ValueError("its bytes do not match their checksum")
    try:
        record = _loads(line.decode())
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(record, dict):
        raise ValueError("it is no record")
    return record


def _front(body: bytes) -> bytes:
    return _FRONT % blake2b(body, digest_size=_CHECKSUM_BYTES).hexdigest().encode()


def _dumps(record: dict[str, Any]) -> bytes:
    try:
        return json_text.dumps(record).encode()
    except (TypeError, ValueError):
        # Error messages and tracebacks may hold lone surrogates, which strict JSON text refuses.
        return json.dumps(record, separators=(",", ":")).encode()


def _loads(text: str) -> Any:
    try:
        return json_text.loads(text)
    except ValueError:
        return json.loads(text)
