"""Values as JSON text and back, equal and of the same type; nothing is executed, imported or unpickled on the way.

Plain JSON values stay readable as they are. Any other is an object whose "$t" says what it is, such as
`{"$t":"decimal","v":"1.20"}` or `{"$t":"model","c":"shop.models:Refund","v":{"order":"A-17"}}`.
"""

import pickle
import re
from collections.abc import Callable
from hashlib import blake2b, sha256
from mimetypes import MimeTypes
from os.path import splitext
from typing import Any, NamedTuple

# The codec modules fill the tables of `coding` when they are imported.
from rh_agents.core import class_codecs, container_codecs, numpy_codecs, pandas_codecs, scalar_codecs, time_codecs
from rh_agents.core.coding import TAG, Load, LoadFailed, Node, Refused, read, reads, text_of, type_label, write
from rh_agents.core.errors import CorruptArtifactError, SerializationError
from rh_agents.core.json_text import MAX_DEPTH, dumps, fast_dumps, loads
from rh_agents.core.plain_view import to_plain, type_name
from rh_agents.core.type_names import register_type

__all__ = [
    "CONTENT_ID",
    "EncodedArtifact",
    "artifact_id",
    "artifact_reference",
    "check_content",
    "decode",
    "decode_artifact",
    "encode",
    "encode_artifact",
    "fingerprint",
    "is_content_id",
    "referenced_artifact",
    "register_type",
    "to_plain",
    "type_name",
]

_CODECS = (scalar_codecs, time_codecs, container_codecs, numpy_codecs, pandas_codecs, class_codecs)

CONTENT_ID = re.compile("[0-9a-f]{64}")

_AS_THEY_ARE = frozenset({str, int, bool, type(None)})
_REFERENCE = '{"$t":"artifact",'

_media_types = MimeTypes()  # Python's own table; `mimetypes.guess_type` would depend on the machine's
for _media_type, _extension in (
    ("application/yaml", ".yaml"),
    ("application/yaml", ".yml"),
    ("application/toml", ".toml"),
    ("application/jsonl", ".jsonl"),
    ("application/gzip", ".gz"),
    ("application/vnd.apache.parquet", ".parquet"),
    ("text/markdown", ".md"),
):
    _media_types.add_type(_media_type, _extension)


def encode(value: Any, *, where: str = "value") -> str:
    """The JSON text of `value`. Sets are sorted, so equal sets give equal texts.

    Raises:
        SerializationError: it, or something inside, cannot be written; names `where`, the path inside and the type.
    """
    if fast_dumps is not None:
        try:
            if _is_plain((value,), -1):
                raw = fast_dumps(value)
                if b'$t"' not in raw and b"\\u0000" not in raw:
                    return raw.decode()
        except (TypeError, RecursionError, RuntimeError):
            # Odd keys, lone surrogates, long ints, too deep: the walk below writes them, or says where they are.
            pass
    try:
        return dumps(write(value, 0))
    except Refused as refusal:
        raise SerializationError(f"{where}{refusal}") from refusal.__cause__
    except RecursionError:
        raise SerializationError(f"{where}: the {type_label(type(value))} is nested too deep") from None
    except Exception as error:
        # A property, a __getstate__ or another thread: whatever the value itself raised while it was read.
        raise SerializationError(f"{where}: the {type_label(type(value))} cannot be read: {error!r}") from error


def decode(text: str, *, load_artifact: Callable[[str], Any] | None = None) -> Any:
    """The value that `encode` made the text of. `load_artifact` gives the value of an artifact id.

    Raises:
        SerializationError: the text is damaged or foreign, or names a class that is not loaded here or that has
            changed so that the values no longer fit.
    """
    if not isinstance(text, str):
        raise SerializationError(f"a text is decoded, not a {type_label(type(text))}")
    try:
        tree = loads(text)
        return read(tree, load_artifact) if '"$t"' in text else tree
    except LoadFailed as failure:
        raise failure.error from None
    except Refused as refusal:
        raise SerializationError(f"value{refusal}") from refusal.__cause__
    except RecursionError:
        raise SerializationError("the text is nested too deep") from None
    except ValueError as error:
        raise SerializationError(f"the text is no JSON: {error}") from error


def fingerprint(value: Any) -> str:
    """32 hexadecimal digits, equal for equal values in every process. What cannot be written counts by its type."""
    try:
        text = encode(value)
    except Exception:
        text = f"not written: {type_label(type(value))}"
    return blake2b(text.encode(), digest_size=16).hexdigest()


def artifact_reference(artifact_id: str) -> str:
    """The text that stands for a value kept as an artifact."""
    return dumps({TAG: "artifact", "v": artifact_id})


def referenced_artifact(text: str) -> str | None:
    """The id of the artifact that the text stands for, `None` if it holds its value itself."""
    if not text.startswith(_REFERENCE):
        return None
    try:
        found = loads(text).get("v")
    except ValueError:
        return None
    return found if isinstance(found, str) else None


class EncodedArtifact(NamedTuple):
    """The bytes of an artifact; `codec` says how they are read: `text`, `bytes`, `json` or `pickle`."""

    codec: str
    payload: bytes
    media_type: str


def encode_artifact(value: Any, *, key: str = "", allow_pickle: bool = False) -> EncodedArtifact:
    """Text and bytes as they are, anything else as `encode` writes it. The extension of `key` says the media type.

    Raises:
        SerializationError: the value cannot be written; with `allow_pickle` it is pickled instead.
    """
    extension = splitext(key)[1].lower()
    named = _media_types.types_map[1].get(extension) or _media_types.types_map[0].get(extension)
    if type(value) is bytes:
        return EncodedArtifact("bytes", value, named or "application/octet-stream")
    if type(value) is str:
        try:
            return EncodedArtifact("text", value.encode(), named or "text/plain")
        except UnicodeEncodeError:
            # A lone surrogate: only the tagged text holds it.
            pass
    try:
        text = encode(value, where=f"artifact {key!r}" if key else "artifact")
    except SerializationError:
        if not allow_pickle:
            raise
        return EncodedArtifact("pickle", _pickled(value, key), "application/octet-stream")
    return EncodedArtifact("json", text.encode(), "application/json")


def decode_artifact(codec: str, payload: bytes, *, allow_pickle: bool = False) -> Any:
    """The value of an artifact's bytes. Unpickling runs code: allow it for bytes of your own only.

    Raises:
        SerializationError: the bytes do not fit the codec, or the codec is unknown or not allowed.
    """
    if codec == "bytes":
        return bytes(payload)
    if codec == "pickle" and allow_pickle:
        try:
            return pickle.loads(payload)  # noqa: S301 - the application has asked for it
        except Exception as error:
            raise SerializationError(f"the pickled artifact cannot be read: {error!r}") from error
    if codec == "pickle":
        raise SerializationError("the artifact is pickled; reading it runs code, and needs allow_pickle=True")
    if codec not in ("text", "json"):
        raise SerializationError(f"{codec!r:.80} is no known codec of artifacts")
    try:
        text = str(payload, "utf-8")
    except UnicodeDecodeError as error:
        raise SerializationError(f"the {codec} artifact is no UTF-8: {error}") from error
    return text if codec == "text" else decode(text)


def artifact_id(encoded: EncodedArtifact) -> str:
    """SHA-256 of the codec, a NUL and the bytes: equal content has one id."""
    return sha256(encoded.codec.encode() + b"\0" + encoded.payload).hexdigest()


def is_content_id(identity: str) -> bool:
    """Whether it looks like what `artifact_id` gives."""
    return CONTENT_ID.fullmatch(identity) is not None


def check_content(identity: str, content: str) -> None:
    """Raises CorruptArtifactError if `identity` is the id of a content, and of another than that of id `content`."""
    if is_content_id(identity) and identity != content:
        raise CorruptArtifactError(f"artifact {identity!r} is damaged: its content is that of {content}")


def _pickled(value: Any, key: str) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:
        label = type_label(type(value))
        raise SerializationError(f"artifact {key!r}: a value of type {label} cannot be pickled: {error}") from error


@reads("artifact", "v")
def _read_artifact(node: Node, load: Load) -> Any:
    found = text_of(node)
    if load is None:
        raise Refused(f"the value is kept as artifact {found}, and no way to load it was given")
    try:
        value = load(found)
    except Exception as error:
        raise LoadFailed(error) from error
    if value is None:
        raise Refused(f"the value is kept as artifact {found}, which is missing")
    return value


def _is_plain(value: Any, depth: int) -> bool:
    """Whether JSON holds a dict or list as it is, but for what orjson refuses: odd keys, surrogates, long ints."""
    if depth >= MAX_DEPTH:
        return False
    for item in value.values() if type(value) is dict else value:
        cls = type(item)
        if cls in _AS_THEY_ARE:
            continue
        if cls is float:
            # A NaN or an infinity, less itself, is NaN; orjson would make it null.
            if item - item != 0.0:
                return False
        elif (cls is not dict and cls is not list) or not _is_plain(item, depth + 1):
            return False
    return True
