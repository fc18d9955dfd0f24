"""`manage.py start_run` and `start_samples`: a run is started, or it says what was wrong and nothing is."""

import io
import json
import sys
import uuid
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from recovery.errors import InvalidInput
from recovery.management.commands import start_samples
from recovery.models import ApprovalRequest, AuditEntry, Resumption, State
from recovery.services.start_run import start_run
from rh_agents.core.serialization import decode
from tests.recovery.conftest import work
from tests.recovery.sample_pipelines import RefundInput

pytestmark = pytest.mark.django_db
ORDER = {"order": "A-17", "amount": "420.00"}


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("start_run", *arguments, stdout=out)
    return out.getvalue().strip()


@pytest.fixture
def order(tmp_path: Path) -> str:
    path = tmp_path / "order.json"
    path.write_text(json.dumps(ORDER))
    return str(path)


def test_a_started_run_prints_its_id_and_is_what_was_asked_for(order, ada):
    printed = command(
        "test-refund", "--input", order, "--description", "Möbel", "--tag", "b", "--tag", "a", "--by", "ada"
    )
    state = State.objects.get(pk=printed)
    assert (state.pipeline, state.description, state.started_by) == ("test-refund", "Möbel", ada)
    assert sorted(state.tags.values_list("tag", flat=True)) == ["a", "b"]
    assert decode(state.input) == RefundInput(**ORDER)
    assert Resumption.objects.get(state=state).kind == "start"
    assert work(state.pk).status == "awaiting"


def test_a_dash_reads_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(ORDER)))
    assert decode(State.objects.get(pk=command("test-refund", "--input", "-")).input) == RefundInput(**ORDER)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ('{"order": ', r"order\.json is not JSON: .*line 1 column"),
        ("", r"order\.json is not JSON"),
        (b"\xff\xfe", "the input file cannot be read: .*utf-8"),
        ("[" * 100_000, r"order\.json is not JSON: it is nested too deeply"),
        ("[]", "the input does not validate"),
        ("null", "the input does not validate"),
        ("{}", "the input does not validate: order: Field required; amount: Field required"),
        ('{"order": "A", "amount": NaN}', "the input does not validate: amount: "),
        ('{"order": "A", "amount": -1}', "the input does not validate: amount: Input should be greater than 0"),
    ],
)
def test_an_input_that_is_none_is_refused_and_nothing_is_started(tmp_path, content, error):
    path = tmp_path / "order.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CommandError, match=error):
        command("test-refund", "--input", str(path))
    assert_nothing_started()


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(CommandError, match=f"the input file cannot be read: .*{path}"):
            command("test-refund", "--input", str(path))
    assert_nothing_started()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["refnuds"], r"no pipeline is named 'refnuds'; there are: .*test-refund"),
        (["test-refund", "--by", "nobody"], "no user is named 'nobody'"),
        (["test-refund", "--tag", ""], "tags"),
        (["test-refund", "--tag", "x" * 101], "tags"),
        (["test-refund", "--description", "a\0b"], "description"),
    ],
)
def test_what_is_unknown_is_named_and_nothing_is_started(order, arguments, error):
    with pytest.raises(CommandError, match=error):
        command(*arguments, "--input", order)
    assert_nothing_started()


@pytest.mark.parametrize("text", ["\ud800", "a\0b"])
def test_an_input_that_no_database_holds_is_refused_or_kept_whole(text):
    try:
        state = start_run("test-refund", {"order": text, "amount": "1"})
    except InvalidInput:
        assert_nothing_started()
    else:
        state.refresh_from_db()
        assert decode(state.input).order == text


def test_the_same_start_sent_twice_is_one_run(ada):
    first = start_run("test-refund", ORDER, by=ada, state_id=uuid.uuid4())
    again = start_run("test-refund", RefundInput(**ORDER), by=ada, description="Twice", state_id=first.pk)
    assert (again, again.description) == (first, "Refund")
    assert (State.objects.count(), Resumption.objects.count(), AuditEntry.objects.count()) == (1, 1, 1)


@pytest.mark.parametrize(
    "other",
    [{"pipeline_name": "test-gates"}, {"by": None}, {"input_data": ORDER | {"amount": "1"}}],
    ids=["pipeline", "person", "input"],
)
def test_the_id_of_another_run_is_refused_and_nothing_is_started(ada, other):
    start = {"pipeline_name": "test-refund", "input_data": ORDER, "by": ada}
    taken = start_run(**start).pk
    with pytest.raises(InvalidInput, match="state_id: There is a run of this id, and it is not this one"):
        start_run(**start | other, state_id=taken)
    assert (State.objects.get().pipeline, Resumption.objects.count(), AuditEntry.objects.count()) == (
        "test-refund",
        1,
        1,
    )


def test_the_samples_start_and_all_wait_in_the_inbox(capsys):
    call_command("start_samples")
    states = {state.pipeline: work(state.pk) for state in State.objects.all()}
    assert {"expense-batch", "table-load"} <= set(states)
    # Without its repository (an unpacked archive) the project has no history to read, and says so.
    assert ("release-notes" in states) == (Path(settings.BASE_DIR) / ".git").exists()
    assert {state.status for state in states.values()} == {"awaiting"}
    waiting = Counter(ApprovalRequest.objects.open().values_list("pipeline", flat=True))
    assert waiting == {name: 10 if name == "expense-batch" else 1 for name in states}


def test_samples_that_were_interrupted_are_started_by_the_next_try(monkeypatch):
    """A process that is killed between two commits runs nothing that could take the first back."""

    class Killed(BaseException):
        pass

    def start_only_one(name, *arguments, **options):
        if State.objects.exists():
            raise Killed
        return start_run(name, *arguments, **options)

    monkeypatch.setattr(start_samples, "read_commits", lambda *arguments, **options: [])
    with monkeypatch.context() as killed:
        killed.setattr(start_samples, "start_run", start_only_one)
        with pytest.raises(Killed):
            call_command("start_samples")
    assert_nothing_started()
    call_command("start_samples")
    assert sorted(State.objects.values_list("pipeline", flat=True)) == ["expense-batch", "release-notes", "table-load"]


def assert_nothing_started() -> None:
    assert not State.objects.exists()
    assert not Resumption.objects.exists()
    assert not AuditEntry.objects.exists()
