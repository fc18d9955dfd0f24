"""What every artifact backend promises: see `ArtifactBackendContract`."""

import asyncio
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest

from rh_agents.core.errors import CorruptArtifactError, SerializationError
from rh_agents.core.serialization import artifact_id, encode_artifact
from rh_agents.core.state_backend import ArtifactBackend

VALUES: list[Any] = [
    None,
    False,
    0,
    "",
    b"",
    "text with Zoë, 😀, a\x00b and \n",
    "\ud800",
    bytes(range(256)) * 10,
    b'{"check":"0"}\n',
    {"nested": [1, 2.5, (3, {"four"}), {"five": None}], "": []},
    {1: "one", (2, "two"): frozenset({2})},
    10**40,
    Decimal("1.10"),
    datetime(2024, 2, 29, tzinfo=UTC),
    date(2024, 2, 29),
    UUID(int=7),
]


class ArtifactBackendContract:
    """Inherit, and provide a `backend` fixture that gives an empty one. `reopen` and `end_thread` are as for states."""

    @pytest.fixture
    def backend(self) -> ArtifactBackend:
        raise NotImplementedError("provide a fixture `backend`")

    def reopen(self, backend: ArtifactBackend) -> ArtifactBackend:
        """A second handle on the same store, as another process would open it. By default `backend` itself."""
        return backend

    def end_thread(self) -> None:
        """Called at the end of every thread that a test starts, to close what belongs to that thread."""

    @pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
    def test_a_value_comes_back_equal_and_of_its_type(self, backend: ArtifactBackend, value: Any) -> None:
        identity = _id_of(value)
        assert backend.save_artifact(identity, value) is True
        loaded = self.reopen(backend).load_artifact(identity)
        assert loaded == value
        assert type(loaded) is type(value)
        assert repr(loaded) == repr(value) or isinstance(value, (set, frozenset, dict))

    @pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
    def test_artifacts_of_any_size_come_back(self, backend: ArtifactBackend, size: int) -> None:
        value = bytes(index * 7 % 256 for index in range(1000)) * (size // 1000 + 1)
        backend.save_artifact("big", value)
        assert self.reopen(backend).load_artifact("big") == value

    def test_what_was_encoded_before_is_saved_as_it_is(self, backend: ArtifactBackend) -> None:
        encoded = encode_artifact({"rows": [1, 2]}, key="rows.json")
        identity = artifact_id(encoded)
        for _ in range(2):
            assert backend.save_encoded(identity, encoded.codec, encoded.payload, encoded.media_type) is True
        assert self.reopen(backend).load_artifact(identity) == {"rows": [1, 2]}
        assert backend.list_artifacts() == [identity]

    def test_other_content_under_the_id_of_a_content_is_never_given_out(self, backend: ArtifactBackend) -> None:
        identity = artifact_id(encode_artifact("text"))
        for codec, payload in (("text", b"other"), ("bytes", b"text")):
            with pytest.raises((CorruptArtifactError, ValueError), match=identity):
                backend.save_encoded(identity, codec, payload)
                self.reopen(backend).load_artifact(identity)
        backend.save_artifact(identity, "text")
        assert self.reopen(backend).load_artifact(identity) == "text"

    def test_an_unknown_id_is_none_and_not_there(self, backend: ArtifactBackend) -> None:
        assert backend.load_artifact("nowhere") is None
        assert backend.get_size("nowhere") is None
        assert backend.exists("nowhere") is False

    def test_a_saved_none_is_told_from_nothing_by_exists(self, backend: ArtifactBackend) -> None:
        backend.save_artifact("nothing", None)
        assert backend.load_artifact("nothing") is None
        assert backend.exists("nothing") is True

    @pytest.mark.parametrize(
        "identity", ["", ".", "..", "../up", "a/b", "a\\b", "/etc/passwd", ".hidden", "a\x00b", "a\nb", "a ", "x" * 201]
    )
    def test_an_unsafe_id_is_a_value_error_everywhere_and_nothing_is_saved(
        self, backend: ArtifactBackend, identity: str
    ) -> None:
        for call in (backend.load_artifact, backend.exists, backend.delete_artifact, backend.get_size):
            with pytest.raises(ValueError):
                call(identity)
        with pytest.raises(ValueError):
            backend.save_artifact(identity, 1)
        with pytest.raises(ValueError):
            backend.save_encoded(identity, "json", b"1")
        assert backend.list_artifacts() == []

    @pytest.mark.parametrize("identity", ["a", "report.v2.csv", "-", "_x-1", "A" * 200, "a..b"])
    def test_any_safe_token_is_an_id(self, backend: ArtifactBackend, identity: str) -> None:
        backend.save_artifact(identity, identity)
        assert backend.load_artifact(identity) == identity
        assert backend.list_artifacts() == [identity]

    def test_ids_that_differ_in_case_are_two(self, backend: ArtifactBackend) -> None:
        backend.save_artifact("report", 1)
        backend.save_artifact("Report", 2)
        assert (backend.load_artifact("report"), backend.load_artifact("Report")) == (1, 2)

    def test_equal_content_is_stored_once_and_has_one_id(self, backend: ArtifactBackend) -> None:
        for _ in range(2):
            backend.save_artifact(_id_of({"a": [1, 2]}), {"a": [1, 2]})
        assert len(backend.list_artifacts()) == 1
        assert _id_of(1) != _id_of(True) != _id_of(1.0)

    def test_an_id_given_by_hand_holds_what_was_saved_last(self, backend: ArtifactBackend) -> None:
        backend.save_artifact("report", "a long first version")
        backend.save_artifact("report", ("second",))
        assert self.reopen(backend).load_artifact("report") == ("second",)
        assert backend.list_artifacts() == ["report"]

    def test_what_cannot_be_written_is_refused_and_leaves_what_was_there(self, backend: ArtifactBackend) -> None:
        backend.save_artifact("report", "first")
        with pytest.raises(SerializationError):
            backend.save_artifact("report", threading.Lock())
        with pytest.raises(SerializationError):
            backend.save_artifact("other", threading.Lock())
        assert backend.load_artifact("report") == "first"
        assert backend.list_artifacts() == ["report"]

    def test_the_caller_may_change_what_was_saved_or_loaded_without_changing_the_store(
        self, backend: ArtifactBackend
    ) -> None:
        value = {"rows": [1]}
        backend.save_artifact("rows", value)
        value["rows"].append(2)
        backend.load_artifact("rows")["rows"].append(3)
        assert backend.load_artifact("rows") == {"rows": [1]}

    def test_the_size_is_that_of_the_encoded_value(self, backend: ArtifactBackend) -> None:
        for value in ("", b"12345", {"a": "x" * 100_000}, PurePosixPath("a/b")):
            backend.save_artifact("sized", value)
            assert backend.get_size("sized") == len(encode_artifact(value).payload)

    def test_a_list_is_sorted_and_complete(self, backend: ArtifactBackend) -> None:
        assert backend.list_artifacts() == []
        for identity in ("b", "a.x", "a", "c" * 200, "B"):
            backend.save_artifact(identity, identity)
        assert self.reopen(backend).list_artifacts() == sorted(["b", "a.x", "a", "c" * 200, "B"])

    def test_deleting_says_whether_it_was_there(self, backend: ArtifactBackend) -> None:
        backend.save_artifact("gone", 1)
        backend.save_artifact("kept", 2)
        assert backend.delete_artifact("gone") is True
        assert backend.delete_artifact("gone") is False
        other = self.reopen(backend)
        assert (other.load_artifact("gone"), other.exists("gone"), other.get_size("gone")) == (None, False, None)
        assert other.list_artifacts() == ["kept"]

    def test_every_call_works_on_a_running_event_loop(self, backend: ArtifactBackend) -> None:
        async def use_it() -> None:
            assert backend.save_artifact("looped", [1]) is True
            assert backend.load_artifact("looped") == [1]
            assert backend.exists("looped") is True
            assert backend.list_artifacts() == ["looped"]
            assert backend.get_size("looped") is not None
            assert backend.delete_artifact("looped") is True

        asyncio.run(use_it())

    def test_threads_may_save_the_same_content_at_once(self, backend: ArtifactBackend) -> None:
        value = {"rows": ["x" * 1000] * 100}
        identity = _id_of(value)
        ready = threading.Barrier(4)
        failures: list[BaseException] = []

        def save(handle: ArtifactBackend) -> None:
            try:
                ready.wait()
                handle.save_artifact(identity, value)
            except BaseException as error:
                failures.append(error)
            finally:
                self.end_thread()

        threads = [threading.Thread(target=save, args=(self.reopen(backend),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert backend.load_artifact(identity) == value
        assert backend.list_artifacts() == [identity]


def _id_of(value: Any) -> str:
    return artifact_id(encode_artifact(value))
