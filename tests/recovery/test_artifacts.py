"""Where artifacts are kept, and what is damaged or missing there."""

import hashlib
from pathlib import Path

import pytest
from django.core.files.storage import InMemoryStorage, storages
from django.db import transaction

from recovery.backends import DjangoArtifactBackend
from recovery.backends import artifacts as module
from recovery.models import Artifact
from rh_agents.core.errors import CorruptArtifactError, SerializationError
from rh_agents.core.serialization import EncodedArtifact, artifact_id

pytestmark = pytest.mark.django_db(transaction=True)

LARGE = b"large" * 10_000


@pytest.fixture
def backend() -> DjangoArtifactBackend:
    return DjangoArtifactBackend()


def file_of(identity: str) -> Path:
    return Path(storages["artifacts"].path(Artifact.objects.get(pk=identity).file_name))


def test_small_payloads_stand_in_the_row_and_larger_ones_in_a_file(backend, settings):
    limit = settings.RECOVERY["ARTIFACT_INLINE_BYTES"]
    backend.save_artifact("small", b"x" * limit)
    backend.save_artifact("large", b"x" * (limit + 1))
    assert bytes(Artifact.objects.get(pk="small").inline) == b"x" * limit
    assert Artifact.objects.get(pk="large").inline is None
    assert file_of("large").read_bytes() == b"x" * (limit + 1)
    assert file_of("large").stat().st_mode & 0o777 == 0o600
    assert Artifact.objects.get(pk="large").sha256 == hashlib.sha256(b"x" * (limit + 1)).hexdigest()


def test_any_storage_of_django_will_do(backend, monkeypatch):
    memory = InMemoryStorage()
    monkeypatch.setitem(storages._storages, "artifacts", memory)
    backend.save_artifact("large", LARGE)
    assert backend.load_artifact("large") == LARGE
    name = Artifact.objects.get().file_name
    assert memory.exists(name)
    backend.delete_artifact("large")
    assert not memory.exists(name)


def test_a_changed_byte_is_found(backend):
    backend.save_artifact("small", b"small")
    Artifact.objects.filter(pk="small").update(inline=b"smaII")
    backend.save_artifact("large", LARGE)
    file_of("large").write_bytes(LARGE[:-1] + b"?")
    for identity in ("small", "large"):
        with pytest.raises(CorruptArtifactError, match=f"'{identity}' is damaged: its bytes do not match"):
            backend.load_artifact(identity)


def test_a_missing_file_is_found(backend):
    backend.save_artifact("large", LARGE)
    file_of("large").unlink()
    with pytest.raises(CorruptArtifactError, match=r"'large' is damaged: its file .* is gone"):
        backend.load_artifact("large")


def test_bytes_that_do_not_fit_their_codec_are_found(backend):
    backend.save_encoded("odd", "json", b"{")
    with pytest.raises(SerializationError):
        backend.load_artifact("odd")


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(LARGE[:7])])
def test_saving_what_should_be_there_repairs_it(backend, damage):
    backend.save_artifact("large", LARGE)
    damage(file_of("large"))
    backend.save_artifact("large", LARGE)
    assert backend.load_artifact("large") == LARGE


def test_saving_the_same_again_moves_the_time_of_the_last_save_alone(backend):
    backend.save_artifact("large", LARGE)
    before = Artifact.objects.get()
    written = file_of("large").stat().st_mtime_ns
    backend.save_artifact("large", LARGE)
    after = Artifact.objects.get()
    assert after.last_saved_at > before.last_saved_at
    assert (after.created_at, after.file_name) == (before.created_at, before.file_name)
    assert file_of("large").stat().st_mtime_ns == written


def test_what_an_id_given_by_hand_held_before_goes(backend):
    backend.save_artifact("report", LARGE)
    first = file_of("report")
    backend.save_artifact("report", LARGE * 2)
    second = file_of("report")
    assert not first.exists() and second.exists()
    backend.save_artifact("report", "small")
    assert not second.exists()
    assert backend.load_artifact("report") == "small"


def test_equal_content_of_two_ids_lives_and_dies_apart(backend):
    backend.save_artifact("one", LARGE)
    backend.save_artifact("two", LARGE)
    backend.delete_artifact("one")
    assert backend.load_artifact("two") == LARGE


def test_deleting_takes_the_file_along_once_it_is_sure(backend):
    backend.save_artifact("large", LARGE)
    path = file_of("large")
    with transaction.atomic():
        backend.delete_artifact("large")
        transaction.set_rollback(True)
    assert backend.load_artifact("large") == LARGE
    assert backend.delete_artifact("large") is True
    assert not path.exists()


def test_a_file_that_was_deleted_between_writing_it_and_its_row_is_written_again(backend, monkeypatch):
    write_row = module._write_row

    def delete_meanwhile(row: Artifact) -> None:
        storages["artifacts"].delete(row.file_name)
        write_row(row)

    monkeypatch.setattr(module, "_write_row", delete_meanwhile)
    backend.save_artifact("large", LARGE)
    assert backend.load_artifact("large") == LARGE


def test_no_pickle_is_read_or_written_unless_it_is_allowed(backend):
    trusting = DjangoArtifactBackend(allow_pickle=True)
    trusting.save_artifact("module-level", test_no_pickle_is_read_or_written_unless_it_is_allowed)
    assert trusting.load_artifact("module-level") is test_no_pickle_is_read_or_written_unless_it_is_allowed
    with pytest.raises(SerializationError, match="allow_pickle"):
        backend.load_artifact("module-level")
    with pytest.raises(SerializationError):
        backend.save_artifact("other", test_no_pickle_is_read_or_written_unless_it_is_allowed)


def test_a_saved_artifact_says_its_media_type(backend):
    backend.save_artifact("table.csv", "a,b\n")
    encoded = EncodedArtifact("text", b"a,b\n", "text/tab-separated-values")
    backend.save_encoded(artifact_id(encoded), *encoded)
    assert dict(Artifact.objects.values_list("pk", "media_type")) == {
        "table.csv": "text/csv",
        artifact_id(encoded): "text/tab-separated-values",
    }
