"""Mails: who is told what and when, what a mail says, and that it decides nothing."""

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.utils import timezone

from recovery import tasks
from recovery.models import RequestDecider
from recovery.services import notify
from recovery.services.decide import decide
from recovery.services.delegations import give, revoke
from rh_agents import Policy
from tests.recovery.asking import ask, at, member

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture(autouse=True)
def _site(settings):
    settings.SITE_URL = "https://approvals.example.com/"


@pytest.fixture
def people(ada, grace, make_user):
    """Reviewers with addresses, by name; eve does not decide, gone has left."""
    gone = make_user("gone")
    gone.is_active = False
    found = [ada, grace, make_user("lin"), make_user("eve", decides=False), gone]
    return {user.username: at(f"{user.username}@example.com", user) for user in found}


def told(about, request, people=()):
    """Who got a mail."""
    mail.outbox.clear()
    assert notify.send(about, str(request.pk), people) == []
    return [to.split("@")[0] for message in mail.outbox for to in message.to]


# ---- Whom ----


def test_everybody_who_may_decide_is_reminded_each_by_a_mail_of_their_own(people):
    request = ask()
    assert told(notify.REMINDER, request) == ["ada", "grace", "lin"]
    assert [len(message.recipients()) for message in mail.outbox] == [1, 1, 1]


def test_who_started_the_run_is_not_told_even_where_they_may_decide(people):
    assert told(notify.REMINDER, ask(by=people["ada"])) == ["grace", "lin"]
    assert told(notify.REMINDER, ask(Policy(self_approval=True), by=people["ada"])) == ["grace", "lin"]


def test_people_without_an_address_are_left_out(people):
    at("", people["grace"])
    assert told(notify.REMINDER, ask()) == ["ada", "lin"]


def test_of_a_request_that_is_left_to_some_only_they_are_told(people):
    member(people["lin"], "legal")
    member(people["eve"], "legal")
    assert told(notify.REMINDER, ask(Policy(groups={"legal"}))) == ["lin"]
    assert told(notify.REMINDER, ask(Policy(users={"grace", "gone"}))) == ["grace"]
    assert told(notify.REMINDER, ask(Policy(permission="recovery.start_state"))) == ["ada", "grace", "lin"]
    assert told(notify.REMINDER, ask(Policy(groups={"nobody"}))) == []


def test_whoever_decides_for_somebody_is_told_too_while_they_do(people):
    member(people["lin"], "legal")
    given = give(
        giver=people["lin"], taker=people["ada"], starts_at=NOW - timedelta(days=1), ends_at=NOW + timedelta(days=1)
    )
    request = ask(Policy(groups={"legal"}))
    assert told(notify.REMINDER, request) == ["ada", "lin"]
    revoke(given.pk, by=people["ada"])
    assert told(notify.REMINDER, request) == ["lin"]


def test_whoever_has_voted_is_not_reminded_until_the_vote_is_taken_back(people):
    request = ask(Policy(needed=2))
    decide(request.pk, by=people["ada"], kind="approve")
    assert told(notify.REMINDER, request) == ["grace", "lin"]
    decide(request.pk, by=people["ada"], kind="withdraw")
    assert told(notify.REMINDER, request) == ["ada", "grace", "lin"]


def test_of_an_escalation_the_new_people_are_told_and_not_the_old_ones(people):
    member(people["ada"], "ops")
    member(people["grace"], "chiefs")
    request = ask(Policy(groups={"ops"}, escalate_after_s=60, escalate_to={"chiefs"}))
    assert told(notify.ESCALATION, request) == []
    decide(request.pk, by=people["ada"], kind="escalate")
    assert told(notify.ESCALATION, request) == ["grace"]
    assert told(notify.REMINDER, request) == ["ada", "grace"]


def test_whoever_a_request_was_handed_on_to_is_told_if_they_may_decide_it(people):
    request = ask(Policy(users={"ada"}))
    assert told(notify.HANDED_ON, request, [people["lin"].pk]) == []
    RequestDecider.objects.create(request=request, username="lin", why=RequestDecider.Why.DELEGATED)
    assert told(notify.HANDED_ON, request, [people["lin"].pk]) == ["lin"]


def test_nobody_is_told_of_what_is_decided(people):
    request = ask()
    decide(request.pk, by=people["ada"], kind="approve")
    assert told(notify.REMINDER, request) == []
    assert told(notify.HANDED_ON, request, [people["lin"].pk]) == []


def test_at_most_some_dozens_are_told(make_user):
    for number in range(notify.PEOPLE_AT_MOST + 5):
        at(f"r{number}@example.com", make_user(f"r{number}"))
    assert len(told(notify.REMINDER, ask())) == notify.PEOPLE_AT_MOST


# ---- What ----


def test_a_reminder_says_what_waits_and_since_when_and_where(people):
    request = ask(Policy(users={"ada"}, expires_after_s=3600, on_expire="approve"), risk="high")
    told(notify.REMINDER, request)
    [message] = mail.outbox
    assert message.subject == "Still waits for a decision: Pay 420.00 for A-17?"
    assert (message.from_email, message.to) == (django_settings.DEFAULT_FROM_EMAIL, ["ada@example.com"])
    assert message.extra_headers == {"Auto-Submitted": "auto-generated"}
    assert message.body == (
        "Hello ada,\n"
        "\n"
        "this still waits for a decision, and you are one of those who may make it.\n"
        "\n"
        "    Pay 420.00 for A-17?\n"
        "\n"
        "Pipeline: Asking\n"
        "Risk: high\n"
        f"Waits since: {request.opened_at:%Y-%m-%d %H:%M} UTC\n"
        f"Expires: {request.expires_at:%Y-%m-%d %H:%M} UTC; if nobody decides, it counts as approved\n"
        "\n"
        f"https://approvals.example.com/requests/{request.pk}/\n"
        "\n"
        "The link opens the page, and you are asked to sign in. Nothing in this mail decides anything.\n"
    )


def test_handing_over_is_told_to_whoever_takes_over(people):
    given = give(
        giver=people["ada"],
        taker=people["grace"],
        pipeline="test-asking",
        starts_at=NOW,
        ends_at=NOW + timedelta(days=7),
        reason="On leave",
    )
    assert told(notify.HANDED_OVER, given) == ["grace"]
    [message] = mail.outbox
    assert message.subject == "ada has handed over to you"
    assert message.body.splitlines()[2:9] == [
        "ada has handed over to you: you may decide what ada may decide",
        "of Asking,",
        f"from {NOW:%Y-%m-%d %H:%M} UTC to {NOW + timedelta(days=7):%Y-%m-%d %H:%M} UTC.",
        "",
        "    On leave",
        "",
        "https://approvals.example.com/delegations/",
    ]
    revoke(given.pk, by=people["ada"])
    assert told(notify.HANDED_OVER, given) == []


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Pay\r\nBcc: all@example.com", "Pay Bcc: all@example.com"),
        ("a\u2028b\x0bc", "a b c"),
        ("Pay \u202e00.001 DSU", "Pay ⟨U+202E⟩00.001 DSU"),
        ("\u200fPay \u200e1\u061c", "Pay 1"),
        ("a\x1bb\u200bc", "a␛b⟨U+200B⟩c"),
        ("ادفع 420", "ادفع 420"),
    ],
)
def test_a_title_stays_in_its_line_and_hides_nothing(people, title, shown):
    told(notify.REMINDER, ask(Policy(users={"ada"}), title=title))
    [message] = mail.outbox
    assert message.subject == f"Still waits for a decision: {shown}"
    assert f"\n    {shown}\n" in message.body
    headers = message.message()
    assert (headers["To"], headers["Bcc"], headers["Cc"]) == ("ada@example.com", None, None)


def test_a_long_title_is_shortened_in_the_subject_only(people):
    told(notify.REMINDER, ask(Policy(users={"ada"}), title="x" * 500))
    [message] = mail.outbox
    assert len(message.subject) == notify.LONGEST_SUBJECT
    assert "x" * 500 in message.body


def test_names_of_people_are_harmless_too(people):
    people["ada"].first_name = "Ada\nBcc: x@example.com"
    people["ada"].save()
    told(notify.REMINDER, ask(Policy(users={"ada"})))
    assert mail.outbox[0].body.splitlines()[0] == "Hello Ada Bcc: x@example.com,"


def test_an_address_that_is_none_is_passed_over_and_the_others_are_told(people, caplog):
    at("ada@example.com\nBcc: all@example.com", people["ada"])
    assert told(notify.REMINDER, ask()) == ["grace", "lin"]
    assert "no mail can be sent to ada" in caplog.text


def test_the_link_of_a_mail_decides_nothing(people, client):
    request = ask()
    told(notify.REMINDER, request)
    path = f"/requests/{request.pk}/"
    assert f"https://approvals.example.com{path}\n" in mail.outbox[0].body
    assert client.get(path)["Location"] == f"/accounts/login/?next={path}"
    client.force_login(people["ada"])
    assert client.get(path).status_code == 200
    request.refresh_from_db()
    assert (request.is_open, request.decisions.count()) == (True, 0)


# ---- When ----


@pytest.fixture
def carried_out(django_capture_on_commit_callbacks, tasks_at_once):
    """Calls, then does what is left for after the commit."""

    def carry_out(call):
        with django_capture_on_commit_callbacks(execute=True):
            call()

    return carry_out


def test_people_are_told_after_the_commit_by_a_worker(people, carried_out):
    request = ask(Policy(users={"ada"}))

    def remind():
        notify.remind(request)
        assert mail.outbox == []

    carried_out(remind)
    assert [message.to for message in mail.outbox] == [["ada@example.com"]]


@pytest.mark.django_db(transaction=True)
def test_what_is_not_committed_is_told_to_nobody(people, tasks_at_once):
    request = ask()
    with pytest.raises(LookupError), transaction.atomic():
        notify.remind(request)
        raise LookupError
    assert mail.outbox == []
    notify.remind(request)
    assert len(mail.outbox) == 3


def test_without_a_mail_server_nothing_is_handed_to_the_broker(people, settings, django_capture_on_commit_callbacks):
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    request = ask()
    with django_capture_on_commit_callbacks() as handed:
        notify.remind(request)
    assert handed == []


def test_handing_over_tells_the_person(people, carried_out):
    carried_out(
        lambda: give(
            giver=people["ada"], taker=people["grace"], starts_at=NOW, ends_at=timezone.now() + timedelta(days=1)
        )
    )
    assert [message.to for message in mail.outbox] == [["grace@example.com"]]


def test_escalating_and_handing_on_tell_whom_it_concerns(people, carried_out):
    member(people["grace"], "chiefs")
    request = ask(Policy(users={"ada"}, escalate_after_s=60, escalate_to={"chiefs"}))
    carried_out(lambda: decide(request.pk, by=people["ada"], kind="escalate"))
    carried_out(lambda: decide(request.pk, by=people["ada"], kind="delegate", delegate_to=people["lin"]))
    assert [(message.to, message.subject) for message in mail.outbox] == [
        (["grace@example.com"], "Escalated to you: Pay 420.00 for A-17?"),
        (["lin@example.com"], "Handed on to you: Pay 420.00 for A-17?"),
    ]


class Server(BaseEmailBackend):
    """A mail server that is away at times."""

    taken: list = []
    refuses: dict[str, int] = {}
    is_away = 0
    saw_transaction = False

    def open(self):
        if Server.is_away > 0:
            Server.is_away -= 1
            raise ConnectionRefusedError("away")

    def send_messages(self, messages):
        Server.saw_transaction |= connection.in_atomic_block
        [to] = messages[0].to
        if Server.refuses.get(to, 0) > 0:
            Server.refuses[to] -= 1
            raise ConnectionResetError("gone")
        Server.taken.append(to)
        return 1


@pytest.fixture
def server(settings):
    settings.EMAIL_BACKEND = f"{__name__}.Server"
    Server.taken, Server.refuses, Server.is_away, Server.saw_transaction = [], {}, 0, False
    return Server


def test_only_those_who_could_not_be_reached_are_tried_again(people, server):
    server.refuses = {"grace@example.com": 2}
    tasks.tell.apply(args=[notify.REMINDER, str(ask().pk), []])
    assert server.taken == ["ada@example.com", "lin@example.com", "grace@example.com"]


def test_a_server_that_is_away_is_tried_again_a_few_times(people, server):
    server.is_away = 3
    tasks.tell.apply(args=[notify.REMINDER, str(ask().pk), []])
    assert server.taken == ["ada@example.com", "grace@example.com", "lin@example.com"]
    server.is_away = 4
    tasks.tell.apply(args=[notify.REMINDER, str(ask().pk), []])
    assert len(server.taken) == 3


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_server_is_spoken_to(people, server):
    tasks.tell.apply(args=[notify.REMINDER, str(ask().pk), []])
    assert (len(server.taken), server.saw_transaction) == (3, False)
