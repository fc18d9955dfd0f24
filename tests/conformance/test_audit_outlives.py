"""The audit outlives the states it speaks of, and one changed byte of it is found."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recovery.errors import AlreadyResolved
from recovery.models import ApprovalRequest, AuditEntry, AuditTail, State
from recovery.services import audit
from recovery.services.decide import decide
from recovery.services.delete_states import delete_states
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state

pytestmark = [pytest.mark.conformance, pytest.mark.django_db(transaction=True)]

COLUMNS = [*audit.HASHED, "hash"]


@pytest.fixture
def decided(ada: Any, folder: Path) -> uuid.UUID:
    """A run that was started, asked, was decided and refused a second decision."""
    state_id = start_run("conformance-walk", {"folder": str(folder)}, by=None).pk
    work_on_state(state_id)
    request = ApprovalRequest.objects.open().get(state_id=state_id)
    decide(request.pk, by=ada, kind="reject", comment="Não, obrigada")
    with pytest.raises(AlreadyResolved):
        decide(request.pk, by=ada, kind="approve")
    work_on_state(state_id)
    return state_id


def test_deleting_a_state_keeps_every_entry_about_it_and_the_chain_verifies(decided: uuid.UUID, ada: Any):
    def about_it() -> list[dict[str, Any]]:
        return [audit.as_dict(entry) for entry in AuditEntry.objects.filter(state_id=decided).order_by("number")]

    before = about_it()
    assert [entry["action"] for entry in before] == ["started", "opened", "decided", "refused"]
    delete_states([decided], by=ada)
    assert not State.objects.filter(pk=decided).exists()
    assert not ApprovalRequest.objects.exists()
    after = about_it()
    assert after[: len(before)] == before
    assert [entry["action"] for entry in after[len(before) :]] == ["deleted"]
    assert list(audit.broken_links()) == []


@pytest.mark.parametrize("column", COLUMNS)
def test_one_changed_byte_in_any_column_of_any_entry_is_found(decided: uuid.UUID, column: str):
    for entry in AuditEntry.objects.order_by("number"):
        value = getattr(entry, column)
        for changed in _one_byte_apart(value):
            AuditEntry.objects.filter(pk=entry.pk).update(**{column: changed})
            broken = [number for number, _ in audit.broken_links()]
            assert broken, f"{column} of entry {entry.number} was changed from {value!r} to {changed!r}"
            assert broken[0] == entry.number or column == "number"
        AuditEntry.objects.filter(pk=entry.pk).update(**{column: value})
    assert list(audit.broken_links()) == []


def _one_byte_apart(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        for index, letter in enumerate(value):
            yield f"{value[:index]}{'x' if letter != 'x' else 'y'}{value[index + 1 :]}"
        yield value[:-1] if value else "x"
    elif isinstance(value, int):
        yield value + 1000
    elif isinstance(value, datetime):
        yield value + timedelta(microseconds=1)
    elif value is None:
        yield uuid.uuid4()
    else:
        yield uuid.UUID(int=value.int ^ 1)
        yield None


@pytest.mark.parametrize("change", ["number", "hash"])
def test_a_changed_end_of_the_chain_is_found(decided: uuid.UUID, change: str):
    tail = AuditTail.objects.get()
    AuditTail.objects.update(**{change: {"number": tail.number + 1, "hash": tail.hash[::-1]}[change]})
    assert [number for number, _ in audit.broken_links()] == [tail.number]


@pytest.mark.parametrize("left_out", [0, 1, -1])
def test_a_removed_entry_is_found(decided: uuid.UUID, left_out: int):
    entries = list(AuditEntry.objects.order_by("number"))
    entries[left_out].delete()
    assert list(audit.broken_links()) != []
