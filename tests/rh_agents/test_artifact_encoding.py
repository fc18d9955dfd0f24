"""Values kept as artifacts: their bytes, media types and ids, and the references that stand for them."""

from collections import OrderedDict
from decimal import Decimal
from typing import Any

import pytest

from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import (
    artifact_id,
    artifact_reference,
    decode,
    decode_artifact,
    encode,
    encode_artifact,
    referenced_artifact,
)
from tests.rh_agents.serialization_samples import Size, same


class Unknown:
    pass


def test_a_reference_is_told_from_a_dict_that_looks_like_one() -> None:
    reference = artifact_reference("abc")
    assert referenced_artifact(reference) == "abc"
    assert referenced_artifact(encode({"$t": "artifact", "v": "abc"})) is None
    assert referenced_artifact('{"$t":"artifact",') is None
    assert referenced_artifact("1") is None


def test_a_reference_is_loaded_wherever_it_stands() -> None:
    loaded = {"abc": Decimal("1.20")}
    text = f'{{"a":[{artifact_reference("abc")}]}}'
    assert decode(text, load_artifact=loaded.get) == {"a": [Decimal("1.20")]}
    with pytest.raises(SerializationError, match=r"value\.a\[0\]: .*artifact abc, and no way to load it"):
        decode(text)
    with pytest.raises(SerializationError, match="artifact abc, which is missing"):
        decode(text, load_artifact={}.get)


def test_an_error_of_loading_an_artifact_reaches_the_caller_as_it_is() -> None:
    def fail(artifact_id: str) -> Any:
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        decode(f'{{"$t":"tuple","v":[{artifact_reference("abc")}]}}', load_artifact=fail)


@pytest.mark.parametrize(
    ("value", "key", "codec", "media_type"),
    [
        ("a,b", "rows.csv", "text", "text/csv"),
        ("# A\x00", "notes.MD", "text", "text/markdown"),
        ("text", "", "text", "text/plain"),
        ("\ud800", "notes.md", "json", "application/json"),
        (b"\x89PNG", "plots/a.b.png", "bytes", "image/png"),
        (b"", "data", "bytes", "application/octet-stream"),
        (Size.SMALL, "size.csv", "json", "application/json"),
        ({"a": Decimal(1)}, "result.json", "json", "application/json"),
        (None, "", "json", "application/json"),
    ],
)
def test_an_artifact_comes_back_with_its_media_type(value: Any, key: str, codec: str, media_type: str) -> None:
    encoded = encode_artifact(value, key=key)
    assert (encoded.codec, encoded.media_type) == (codec, media_type)
    assert same(decode_artifact(encoded.codec, encoded.payload), value)


def test_equal_artifacts_have_one_id_and_others_another() -> None:
    assert artifact_id(encode_artifact({"b", "a"})) == artifact_id(encode_artifact({"a", "b"}, key="x.json"))
    ids = {artifact_id(encode_artifact(value)) for value in ("1", b"1", 1, 1.0, [1])}
    assert len(ids) == 5
    assert all(len(found) == 64 for found in ids)


def test_pickles_are_made_and_read_only_when_allowed() -> None:
    value = OrderedDict(), Unknown
    with pytest.raises(SerializationError, match=r"artifact 'k'\[1\]: the class .*Unknown"):
        encode_artifact(value, key="k")
    encoded = encode_artifact(value, key="k", allow_pickle=True)
    assert decode_artifact("pickle", encoded.payload, allow_pickle=True) == value
    with pytest.raises(SerializationError, match="allow_pickle=True"):
        decode_artifact("pickle", encoded.payload)
    with pytest.raises(SerializationError, match="cannot be pickled"):
        encode_artifact(lambda: 1, allow_pickle=True)


@pytest.mark.parametrize(
    ("codec", "payload"),
    [("text", b"\xff"), ("json", b"\xff"), ("json", b"{"), ("zip", b""), ("", b""), ("pickle", b"x")],
)
def test_damaged_artifacts_are_refused(codec: str, payload: bytes) -> None:
    with pytest.raises(SerializationError):
        decode_artifact(codec, payload, allow_pickle=True)
