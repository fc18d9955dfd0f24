"""Artifacts as files: `<base_path>/<id>.artifact`, a line of JSON that describes the payload, then the payload."""

import os
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from rh_agents.core import serialization
from rh_agents.core.errors import CorruptArtifactError
from rh_agents.core.serialization import EncodedArtifact, check_content, decode_artifact, encode_artifact
from rh_agents.core.state_backend import GRACE, ArtifactBackend, StateBackend
from rh_agents.durable_files import TEMPORARY, remove, remove_leftovers, write_whole
from rh_agents.safe_ids import check_id
from rh_agents.sealed_json import seal, unseal

_SUFFIX = ".artifact"


class _Header(NamedTuple):
    """The first line of an artifact's file."""

    id: str
    codec: str
    sha256: str
    size: int
    media_type: str


class FileSystemArtifactBackend(ArtifactBackend):
    """Keeps every artifact in a file of its own. No pickle is written or read unless `allow_pickle`."""

    def __init__(self, base_path: str | os.PathLike[str], *, allow_pickle: bool = False) -> None:
        self._folder = Path(base_path)
        self.allow_pickle = allow_pickle

    def save_artifact(self, artifact_id: str, artifact: Any) -> bool:
        check_id(artifact_id, "artifact id")
        return self.save_encoded(
            artifact_id, *encode_artifact(artifact, key=artifact_id, allow_pickle=self.allow_pickle)
        )

    def save_encoded(self, artifact_id: str, codec: str, payload: bytes, media_type: str = "") -> bool:
        path = self._path(artifact_id)
        encoded = EncodedArtifact(codec, payload, media_type)
        try:
            if self._read(artifact_id) == encoded:
                now_s = time.time()
                os.utime(path, (now_s, now_s))  # Whoever collects garbage sees that it is wanted again.
                return True
        except CorruptArtifactError:
            pass  # Saving what should be there repairs it.
        except FileNotFoundError:
            pass  # Collected just now.
        write_whole(path, _file_of(artifact_id, encoded))
        return True

    def load_artifact(self, artifact_id: str) -> Any:
        encoded = self._read(artifact_id)
        if encoded is None:
            return None
        return decode_artifact(encoded.codec, encoded.payload, allow_pickle=self.allow_pickle)

    def delete_artifact(self, artifact_id: str) -> bool:
        return remove(self._path(artifact_id))

    def delete_if_unsaved(self, artifact_id: str, since: datetime) -> bool:
        """See `ArtifactBackend`. The file is put aside first: who saves it meanwhile finds none, and writes one."""
        path = self._path(artifact_id)
        if path.stat().st_mtime > since.timestamp():
            return False
        aside = path.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
        try:
            path.rename(aside)
        except FileNotFoundError:
            return False
        if aside.stat().st_mtime > since.timestamp():
            with suppress(FileExistsError):
                os.link(aside, path)  # It was saved after we had looked.
            aside.unlink()
            return False
        return remove(aside)

    def garbage_collect(self, states: StateBackend, grace: timedelta = GRACE) -> list[str]:
        """See `ArtifactBackend`."""
        remove_leftovers(self._folder, datetime.now(UTC) - grace)
        return super().garbage_collect(states, grace)

    def exists(self, artifact_id: str) -> bool:
        return self._path(artifact_id).is_file()

    def list_artifacts(self) -> list[str]:
        return sorted(path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"[!.]*{_SUFFIX}"))

    def get_size(self, artifact_id: str) -> int | None:
        try:
            with open(self._path(artifact_id), "rb") as file:
                return _header(file.readline(), artifact_id).size
        except FileNotFoundError:
            return None
        except IsADirectoryError:
            raise _no_file(artifact_id) from None

    def _path(self, artifact_id: str) -> Path:
        return self._folder / (check_id(artifact_id, "artifact id") + _SUFFIX)

    def _read(self, artifact_id: str) -> EncodedArtifact | None:
        try:
            data = self._path(artifact_id).read_bytes()
        except FileNotFoundError:
            return None
        except IsADirectoryError:
            raise _no_file(artifact_id) from None
        line, _, payload = data.partition(b"\n")
        header = _header(line, artifact_id)
        encoded = EncodedArtifact(header.codec, payload, header.media_type)
        if header.sha256 != serialization.artifact_id(encoded) or header.size != len(payload):
            raise CorruptArtifactError(f"artifact {artifact_id!r} is damaged: its bytes do not match their hash")
        check_content(artifact_id, header.sha256)
        return encoded


def _file_of(artifact_id: str, encoded: EncodedArtifact) -> bytes:
    """The file's bytes. `sha256` is that of codec, NUL and payload: a content address is the same."""
    header = {
        "id": artifact_id,
        "codec": encoded.codec,
        "sha256": serialization.artifact_id(encoded),
        "size": len(encoded.payload),
        "media_type": encoded.media_type,
    }
    return seal(header) + b"\n" + encoded.payload


def _header(line: bytes, artifact_id: str) -> _Header:
    where = f"artifact {artifact_id!r} is damaged in its first line"
    try:
        found = unseal(line.removesuffix(b"\n"))
    except ValueError as error:
        raise CorruptArtifactError(f"{where}: {error}") from error
    header = _Header(*(found.get(name) for name in _Header._fields))  # type: ignore[arg-type]  # checked below
    for name, kind in _Header.__annotations__.items():
        if type(getattr(header, name)) is not kind:
            raise CorruptArtifactError(f"{where}: its {name} is {getattr(header, name)!r:.80}")
    if header.id != artifact_id:
        raise CorruptArtifactError(f"artifact {artifact_id!r} is damaged: it is {header.id!r:.210}")
    return header


def _no_file(artifact_id: str) -> CorruptArtifactError:
    return CorruptArtifactError(f"artifact {artifact_id!r} is damaged: a folder stands in the place of its file")
