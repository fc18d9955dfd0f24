"""The audit's chain, verified in the database and in an export."""

import csv
import io
import json
import uuid

import pytest
from django.core.management import CommandError, call_command

from recovery.models import AuditEntry, AuditTail
from recovery.services import audit

pytestmark = pytest.mark.django_db

STATE = uuid.UUID(int=7)


@pytest.fixture
def entries(ada) -> list[AuditEntry]:
    audit.record("decide", by=ada, channel="web", state_id=STATE, comment="=1+1 \u05d0\n")
    audit.record("sweep", state_id=None, jobs=3)
    audit.record("delete", by=ada, state_id=STATE)
    return list(AuditEntry.objects.order_by("number"))


def run(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_an_untouched_audit_verifies(entries):
    assert run("verify_audit") == "the audit verifies: 3 entries\n"


def test_an_empty_audit_verifies():
    assert run("verify_audit") == "the audit verifies: 0 entries\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda entry: AuditEntry.objects.filter(pk=entry.pk).update(actor="eve"), "entry 2 was changed"),
        (lambda entry: AuditEntry.objects.filter(pk=entry.pk).delete(), "entry 3 follows 1: entries are missing"),
        (lambda entry: AuditTail.objects.update(number=4), "entry 3 is not the last that was written"),
    ],
)
def test_what_was_done_behind_its_back_is_named(entries, change, said, capsys):
    change(entries[1])
    out = io.StringIO()
    with pytest.raises(CommandError, match="does not verify"):
        call_command("verify_audit", stderr=out)
    assert said in out.getvalue()


def test_an_export_holds_everything_and_verifies_elsewhere(entries, tmp_path):
    path = tmp_path / "audit.jsonl"
    run("export_audit", "--output", str(path))
    AuditEntry.objects.all().delete()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["action"] for line in lines] == ["decide", "sweep", "delete"]
    assert json.loads(lines[0]["detail"]) == {"comment": "=1+1 \u05d0\n"}
    assert run("verify_audit", "--export", str(path)) == f"the audit verifies: {path}\n"


def test_one_changed_letter_of_an_export_is_found(entries, tmp_path):
    path = tmp_path / "audit.jsonl"
    run("export_audit", "--output", str(path))
    path.write_text(path.read_text(encoding="utf-8").replace("ada", "eve", 1), encoding="utf-8")
    out = io.StringIO()
    with pytest.raises(CommandError, match="does not verify"):
        call_command("verify_audit", "--export", str(path), stderr=out)
    assert out.getvalue() == "entry 1 was changed\n"


def test_an_export_of_a_part_verifies_from_where_it_begins(entries, tmp_path):
    path = tmp_path / "audit.jsonl"
    since = entries[1].at.isoformat()
    run("export_audit", "--output", str(path), "--since", since)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2
    run("verify_audit", "--export", str(path))


def test_a_spreadsheet_gets_no_formula_and_only_what_was_asked_for(entries):
    AuditEntry.objects.filter(number=1).update(actor="=cmd")
    rows = list(csv.DictReader(io.StringIO(run("export_audit", "--format", "csv", "--state", str(STATE)))))
    assert [row["action"] for row in rows] == ["decide", "delete"]
    assert [row["actor"] for row in rows] == ["'=cmd", "ada"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export_audit", "--since", "yesterday"], "--since 'yesterday' is no time"),
        (["export_audit", "--state", "7"], "--state '7' is no id of a state"),
        (["export_audit", "--output", "/nowhere/audit.jsonl"], "cannot write"),
        (["verify_audit", "--export", "/nowhere/audit.jsonl"], "No such file"),
    ],
)
def test_what_cannot_be_read_or_written_is_named(entries, arguments, said):
    with pytest.raises(CommandError, match=said):
        call_command(*arguments)


@pytest.mark.parametrize("line", ["{", "7", "{}", '{"state_id": "x", "request_id": "", "at": ""}'])
def test_a_line_that_is_no_entry_is_named(line, tmp_path):
    path = tmp_path / "audit.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(CommandError, match="line 1 is no entry of the audit"):
        call_command("verify_audit", "--export", str(path))
