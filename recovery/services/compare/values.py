"""The differences of single values: results, storage values and artifacts, wherever their text is kept."""

from collections.abc import Callable

from django.utils.translation import gettext

from recovery.services.compare.json_diff import diff_json, is_same_json, one_sided_json
from recovery.services.compare.rows import Diff
from recovery.services.compare.text_diff import by_cells, diff_texts, one_sided_text
from rh_agents.core.serialization import EncodedArtifact, encode, referenced_artifact
from rh_agents.core.state_recovery import Entry, EventRecord

LoadArtifact = Callable[[str], EncodedArtifact | None]
DiffAndNote = tuple[Diff | None, str]

LARGEST_ARTIFACT = 256 * 1024
LARGEST_VALUE = 2 * 1024 * 1024
LONGEST_ERROR = 20_000

CSV_TYPES = {"text/csv", "application/csv", "text/tab-separated-values"}
TEXT_TYPES = {
    "application/javascript", "application/sql", "application/toml", "application/xml", "application/yaml",
    "application/jsonl", "application/x-ndjson", "application/x-sh", "application/x-yaml",
}  # fmt: skip


class NotComparable(Exception):
    """There is nothing to look into; the message says why. A `load_artifact` may raise it too."""


class Equality:
    """Tells whether saved values are equal. Where texts differ it reads them, until that has cost enough."""

    def __init__(self, characters: int = 2_000_000) -> None:
        self.left = characters

    def holds(self, left: str | None, right: str | None) -> bool:
        if left == right:
            return True
        if left is None or right is None:
            return False
        # Beyond that, texts of other lengths cannot be the same dict in another order of its keys.
        if len(left) != len(right) and (referenced_artifact(left) or referenced_artifact(right)):
            return False
        self.left -= len(left) + len(right)
        if self.left < 0 and len(left) != len(right):
            return False
        return is_same_json(left, right)


def diff_values(left: str | None, right: str | None, load_artifact: LoadArtifact | None) -> DiffAndNote:
    """Of two encoded values, of which either may be missing."""
    try:
        text_left, text_right = _text(left, load_artifact), _text(right, load_artifact)
    except NotComparable as reason:
        return None, str(reason)
    if text_left is not None and text_right is not None:
        return diff_json(text_left, text_right), ""
    if text_left is not None:
        return one_sided_json("left", text_left), ""
    return (one_sided_json("right", text_right), "") if text_right is not None else (None, "")


def diff_errors(left: EventRecord, right: EventRecord) -> Diff | None:
    text_left, text_right = _error(left), _error(right)
    if text_left and text_right:
        return diff_texts(text_left, text_right)
    return one_sided_text("left" if text_left else "right", text_left or text_right)


def diff_artifacts(left: Entry, right: Entry, load_artifact: LoadArtifact | None) -> DiffAndNote:
    try:
        kinds = {_kind(entry.media_type) for entry in (left, right)}
        encoded_left, encoded_right = (_loaded(entry, load_artifact) for entry in (left, right))
        text_left, text_right = _decoded(encoded_left), _decoded(encoded_right)
    except NotComparable as reason:
        return None, str(reason)
    if kinds == {"json"}:
        return diff_json(text_left, text_right), ""
    return diff_texts(text_left, text_right, inside=by_cells if kinds == {"csv"} else None), ""


def is_image(media_type: str) -> bool:
    return media_type.startswith("image/")


def _text(text: str | None, load_artifact: LoadArtifact | None) -> str | None:
    """The encoded value itself, where `text` may only say which artifact holds it."""
    artifact = None if text is None else referenced_artifact(text)
    if artifact is None:
        return text
    encoded = _load(artifact, load_artifact)
    if encoded.codec == "json":
        return _decoded(encoded)
    if encoded.codec == "text":
        return encode(_decoded(encoded))
    raise NotComparable(
        gettext("This is kept as %(codec)s, which cannot be compared inside.") % {"codec": encoded.codec}
    )


def _kind(media_type: str) -> str:
    essence = media_type.partition(";")[0].strip().lower()
    if essence in ("application/json", "text/json") or essence.endswith("+json"):
        return "json"
    if essence in CSV_TYPES:
        return "csv"
    if essence.startswith("text/") or essence in TEXT_TYPES or essence.endswith(("+xml", "+yaml")):
        return "text"
    if is_image(essence):
        raise NotComparable(gettext("Images are to be looked at; what is inside of them is not compared."))
    raise NotComparable(gettext("%(essence)s cannot be compared inside.") % {"essence": essence or gettext("This")})


def _loaded(entry: Entry, load_artifact: LoadArtifact | None) -> EncodedArtifact:
    if entry.size > LARGEST_ARTIFACT:
        raise NotComparable(
            gettext("Artifacts of more than %(largest_artifact)s KB are not compared inside.")
            % {"largest_artifact": LARGEST_ARTIFACT // 1024}
        )
    return _load(entry.text, load_artifact)


def _load(artifact_id: str, load_artifact: LoadArtifact | None) -> EncodedArtifact:
    encoded = load_artifact(artifact_id) if load_artifact else None
    if encoded is None:
        raise NotComparable(
            gettext("The artifact %(artifact_id)s cannot be loaded.") % {"artifact_id": artifact_id[:12]}
        )
    return encoded


def _decoded(encoded: EncodedArtifact) -> str:
    try:
        return encoded.payload.decode()
    except UnicodeDecodeError as error:
        raise NotComparable(
            gettext("This is not UTF-8 text (%(reason)s at byte %(start)s).")
            % {"reason": error.reason, "start": f"{error.start:,}"}
        ) from None


def _error(record: EventRecord) -> str:
    return ": ".join(part for part in (record.error_type, record.error_message) if part)[:LONGEST_ERROR]
