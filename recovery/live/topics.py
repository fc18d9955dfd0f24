"""What a page listens to: `inbox`, `request:<id>` or `state:<id>`."""

import uuid
from collections.abc import Iterable

INBOX = "inbox"
AT_MOST = 40


def of_request(pk: uuid.UUID) -> str:
    return f"request:{pk}"


def of_state(pk: uuid.UUID) -> str:
    return f"state:{pk}"


def topics_of(names: Iterable[str]) -> frozenset[str]:
    """Those that `names` name, each written in one way.

    Raises:
        ValueError: one of them is no topic, or there are too many of them, or none.
    """
    topics = frozenset(_topic_of(name) for name in names)
    if not 1 <= len(topics) <= AT_MOST:
        raise ValueError(f"a stream is about 1 to {AT_MOST} topics, not {len(topics)}")
    return topics


def ids_of(kind: str, topics: Iterable[str]) -> list[uuid.UUID]:
    """Of the topics of a `kind` (`request`, `state`) what they are about."""
    prefix = f"{kind}:"
    return [uuid.UUID(topic.removeprefix(prefix)) for topic in topics if topic.startswith(prefix)]


def _topic_of(name: str) -> str:
    kind, _, pk = name.partition(":")
    if name == INBOX:
        return INBOX
    if kind not in ("request", "state"):
        raise ValueError(f"there is no topic {name[:50]!r}")
    return f"{kind}:{uuid.UUID(pk)}"
