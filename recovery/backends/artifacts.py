"""The artifact backend of the dashboard: small payloads in the row, larger ones in `STORAGES["artifacts"]`."""

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from recovery.backends.rows import check_texts
from recovery.backends.sql import BATCH
from recovery.backends.threads import callable_on_a_loop
from recovery.models import Artifact, ArtifactRef, Event, StorageEntry
from rh_agents.core.errors import CorruptArtifactError
from rh_agents.core.serialization import (
    EncodedArtifact,
    check_content,
    decode_artifact,
    encode_artifact,
    is_content_id,
)
from rh_agents.core.serialization import artifact_id as content_id
from rh_agents.core.state_backend import ArtifactBackend
from rh_agents.durable_files import write_whole
from rh_agents.safe_ids import check_id


class DjangoArtifactBackend(ArtifactBackend):
    """Keeps artifacts in the "default" database and in `STORAGES["artifacts"]`. No pickle is written or read unless
    `allow_pickle`."""

    def __init__(self, allow_pickle: bool = False) -> None:
        self.allow_pickle = allow_pickle

    def save_artifact(self, artifact_id: str, artifact: Any) -> bool:
        _check(artifact_id)
        encoded = encode_artifact(artifact, key=artifact_id, allow_pickle=self.allow_pickle)
        return self.save_encoded(artifact_id, *encoded)

    @callable_on_a_loop
    def save_encoded(self, artifact_id: str, codec: str, payload: bytes, media_type: str = "") -> bool:
        """See `ArtifactBackend.save_encoded`. The file is on the disk before the row is."""
        _check(artifact_id)
        check_texts((codec, media_type[:200]), ("codec", "media_type"), f"artifact {artifact_id!r}")
        digest = hashlib.sha256(payload).hexdigest()
        row = Artifact(
            pk=artifact_id, sha256=digest, media_type=media_type[:200], codec=codec, size=len(payload), file_name=""
        )
        if len(payload) <= settings.RECOVERY["ARTIFACT_INLINE_BYTES"]:
            row.inline = payload
        held = Artifact.objects.filter(pk=artifact_id, codec=codec, sha256=digest)
        found = held.defer("inline").first()
        if found is not None and _is_whole(found):
            # The very row that was found: one that was made since may be younger than the time that is written here.
            same = held.filter(created_at=found.created_at)
            if same.update(last_saved_at=_saved_again(found), media_type=row.media_type):
                return True
        if row.inline is None:
            row.file_name = _write_file(artifact_id, digest, payload)
        _write_row(row)
        # Somebody who deleted this very artifact meanwhile may have taken the file for theirs.
        if row.file_name and not storages["artifacts"].exists(row.file_name):
            _write_file(artifact_id, digest, payload)
        return True

    @callable_on_a_loop
    def load_artifact(self, artifact_id: str) -> Any:
        found = Artifact.objects.filter(pk=_check(artifact_id)).first()
        if found is None:
            return None
        try:
            payload = found.read()
        except FileNotFoundError as error:
            raise CorruptArtifactError(
                f"artifact {artifact_id!r} is damaged: its file {found.file_name} is gone"
            ) from error
        if is_content_id(artifact_id):
            # It says more than the hash beside it: that of codec and bytes.
            check_content(artifact_id, content_id(EncodedArtifact(found.codec, payload, found.media_type)))
        elif hashlib.sha256(payload).hexdigest() != found.sha256:
            raise CorruptArtifactError(f"artifact {artifact_id!r} is damaged: its bytes do not match their hash")
        return decode_artifact(found.codec, payload, allow_pickle=self.allow_pickle)

    @callable_on_a_loop
    def delete_artifact(self, artifact_id: str) -> bool:
        return bool(_delete(Artifact.objects.filter(pk=_check(artifact_id))))

    @callable_on_a_loop
    def delete_if_unsaved(self, artifact_id: str, since: datetime) -> bool:
        # Having waited for a row that somebody saved, PostgreSQL looks again when that was.
        return bool(_delete(Artifact.objects.filter(pk=_check(artifact_id), last_saved_at__lte=since)))

    @callable_on_a_loop
    def exists(self, artifact_id: str) -> bool:
        return Artifact.objects.filter(pk=_check(artifact_id)).exists()

    @callable_on_a_loop
    def list_artifacts(self) -> list[str]:
        # Sorted here: every database has an order of its own.
        return sorted(Artifact.objects.values_list("pk", flat=True).iterator())

    @callable_on_a_loop
    def get_size(self, artifact_id: str) -> int | None:
        return Artifact.objects.filter(pk=_check(artifact_id)).values_list("size", flat=True).first()


def delete_unshared(artifact_ids: Collection[str]) -> int:
    """Delete those of `artifact_ids`, which a deleted state referred to, that nothing refers to any more; how many.

    One that somebody saved again a short while ago is left alone: they may be about to refer to it.
    """
    ids, deleted = sorted(artifact_ids), 0
    for start in range(0, len(ids), BATCH):
        unshared = Artifact.objects.at_rest().filter(pk__in=ids[start : start + BATCH])
        # Having waited for a row that somebody saved, PostgreSQL looks again whether it is at rest.
        unshared = unshared.exclude(
            Exists(ArtifactRef.objects.filter(artifact_id=OuterRef("pk")))
            | Exists(Event.objects.filter(result_artifact=OuterRef("pk")))
            | Exists(StorageEntry.objects.filter(artifact=OuterRef("pk")))
        )
        deleted += _delete(unshared)
    return deleted


def _check(artifact_id: str) -> str:
    return check_id(artifact_id, "artifact id")


def _saved_again(held: Artifact) -> datetime:
    return max(timezone.now(), held.created_at + timedelta(microseconds=1))


def _is_whole(held: Artifact) -> bool:
    if not held.file_name:
        return True
    storage = storages["artifacts"]
    return storage.exists(held.file_name) and storage.size(held.file_name) == held.size


def _write_file(artifact_id: str, digest: str, payload: bytes) -> str:
    """The name it has in the storage. That names id and content, so it never changes and is no other artifact's."""
    named = hashlib.sha256(f"{artifact_id}\0{digest}".encode()).hexdigest()
    name, storage = f"{named[:2]}/{named[2:]}", storages["artifacts"]
    if not isinstance(storage, FileSystemStorage):
        return storage.save(name, ContentFile(payload))
    path = Path(storage.path(name))
    write_whole(path, payload)
    if storage.file_permissions_mode is not None:
        path.chmod(storage.file_permissions_mode)
    return name


def _write_row(row: Artifact) -> None:
    """Insert it, or replace what the id held before."""
    if _replace_row(row):
        return
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        # Somebody else saved it first, just now.
        if not _replace_row(row):
            raise


def _replace_row(row: Artifact) -> bool:
    """`False`: there is none of that id."""
    columns = ("sha256", "media_type", "codec", "size", "inline", "file_name")
    with transaction.atomic():
        held = Artifact.objects.select_for_update().defer("inline").filter(pk=row.pk).first()
        if held is None:
            return False
        written = {name: getattr(row, name) for name in columns}
        Artifact.objects.filter(pk=row.pk).update(**written, last_saved_at=_saved_again(held))
        if held.file_name and held.file_name != row.file_name:
            transaction.on_commit(lambda: _delete_file(row.pk, held.file_name))
    return True


def _delete(artifacts: QuerySet[Artifact]) -> int:
    """Delete the rows, and then their files; how many rows there were."""
    with transaction.atomic():
        # In one order, so that two who delete cannot wait for each other.
        found = list(artifacts.order_by("pk").select_for_update().values_list("pk", "file_name"))
        Artifact.objects.filter(pk__in=[pk for pk, _ in found]).delete()
        for pk, name in found:
            if name:
                transaction.on_commit(partial(_delete_file, pk, name))
    return len(found)


def _delete_file(artifact_id: str, name: str) -> None:
    # It may have been saved again since, to the same file.
    if not Artifact.objects.filter(pk=artifact_id, file_name=name).exists():
        storages["artifacts"].delete(name)
