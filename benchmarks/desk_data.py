"""The data of `desk.py`: made in the database, row by row from a number, the same each time."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection, models, transaction

from recovery.models import (
    ApprovalRequest,
    Decision,
    ProposalVersion,
    RequestDecider,
    Resolution,
    State,
    Tag,
)
from rh_agents.core.approvals import Answer, Question
from rh_agents.core.policy import Policy
from rh_agents.core.serialization import encode

REVIEWER = "reviewer-0"
PEOPLE, TEAMS, PIPELINES, TAGS = 200, 8, 20, 40


def fill(states: int, opened: int, decided: int) -> bool:
    """Migrate, and make the rows unless they are there; whether they were made."""
    call_command("migrate", verbosity=0)
    if State.objects.exists():
        return False
    with transaction.atomic():
        reviewer = _people()
        _insert(State, states, **_state(opened))
        _insert(Tag, states, **_tag("1", f"'tag-' || {_skewed('i', 1, TAGS)}", opened))
        _insert(Tag, opened + decided, **_tag("2", "'rare-' || i % 50000", opened))
        _insert(ApprovalRequest, opened + decided, **_request(opened, reviewer.pk))
        _insert(ProposalVersion, opened + decided, **_VERSION)
        named = {"username": "CASE WHEN i % 3 = 0 THEN 'reviewer-' || i % 200 ELSE '' END"}
        named["group"] = f"CASE WHEN i % 3 = 0 THEN '' ELSE 'team-' || i % {TEAMS} END"
        only_some = f"WHERE NOT ({_OPEN_TO_ALL})"
        _insert(RequestDecider, opened + decided, only_some, **_OF_REQUEST, **named, why="'policy'")
        decisions = {"kind": "'approve'", "actor": "1 + i % 100", "actor_name": "'reviewer'", "actor_kind": "'user'"}
        settled = f"WHERE i > {opened}"
        _insert(Decision, opened + decided, settled, **_OF_REQUEST, **decisions, id="i", created_at=_DECIDED)
        answer = {"answer": _quoted(encode(Answer(kind="approve"))), "outcome": "'approve'", "decision": "i"}
        _insert(Resolution, opened + decided, settled, **_OF_REQUEST, **answer, created_at=_DECIDED)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return True


def _people() -> Any:
    held = Permission.objects.filter(codename__in=("decide_approvalrequest", "start_state"))
    everybody = Group.objects.create(name="reviewers")
    everybody.permissions.set(held)
    teams = [Group.objects.create(name=f"team-{number}") for number in range(TEAMS)]
    people = [
        get_user_model()(pk=number + 1, username=f"reviewer-{number}", first_name=f"Name{number}")
        for number in range(PEOPLE)
    ]
    get_user_model()._default_manager.bulk_create(people)
    for number, person in enumerate(people):
        person.groups.set([everybody, teams[number % TEAMS], teams[(number + 3) % TEAMS]])
    return people[0]


def _insert(model: type[models.Model], count: int, where: str = "", **given: str) -> None:
    """`given` are SQL expressions of the number `i`, by field; every other field has its default."""
    columns, values = [], []
    for field in model._meta.concrete_fields:
        if field.name not in given and isinstance(field, models.AutoField):
            continue
        columns.append(connection.ops.quote_name(field.column))
        values.append(given.get(field.name) or _default(field))
    table = connection.ops.quote_name(model._meta.db_table)
    rows = f"SELECT {', '.join(values)} FROM generate_series(1, {count}) i {where}"
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) {rows}")


def _default(field: Any) -> str:
    value = field.get_default()
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return str(value)
    return "'{}'" if value == {} else _quoted(str(value))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _random(number: str, salt: int) -> str:
    """From 0 to 1, always the same for the same number."""
    return f"(abs(hashint4({number} * 31 + {salt})::bigint) / 2147483648.0)"


def _skewed(number: str, salt: int, among: int) -> str:
    """A number below `among`: most are small, few are near it."""
    return f"floor(power({_random(number, salt)}, 3) * {among})::int"


def _id(kind: str) -> str:
    return f"md5('{kind}' || i)::uuid"


_OPEN_TO_ALL = _random("i", 2) + " < 0.7"
_OPENED = f"now() - power({_random('i', 3)}, 2) * interval '20 days'"
_DECIDED = f"now() - {_random('i', 4)} * interval '300 days'"
_OF_REQUEST = {"request": _id("request")}
_PIPELINE = f"'pipeline-' || {_skewed('i', 5, PIPELINES)}"
_VERSION = {
    **_OF_REQUEST,
    "number": "1",
    "args": '\'{"amount": 420, "order": "A-17"}\'',
    "digest": "md5(i::text) || md5('b' || i)",
    "by_name": "'the run'",
    "created_at": _OPENED,
}


def _state(opened: int) -> dict[str, str]:
    return {
        "id": _id("state"),
        "pipeline": _PIPELINE,
        "status": f"CASE WHEN i <= {opened} THEN 'awaiting' ELSE 'completed' END",
        "description": "'A run of some length'",
        "created_at": _OPENED,
        "updated_at": _OPENED,
    }


def _tag(kind: str, tag: str, opened: int) -> dict[str, str]:
    awaiting = f"CASE WHEN i <= {opened} THEN {_OPENED} END"
    return {"state": _id("state"), "tag": tag, "awaiting_at": awaiting}


def _request(opened: int, reviewer: int) -> dict[str, str]:
    verbs = "(ARRAY['Refund','Delete','Publish','Create','Clear','Send','Change','Approve'])"
    title = (
        f"{verbs}[1 + i % 8] || ' order' || i || ' with object' || ({_random('i', 6)} * 200)::int"
        f" || ' for Name' || ({_random('i', 7)} * 5000)::int"
    )
    due = f"CASE WHEN {_random('i', 8)} < 0.4 THEN now() + ({_random('i', 9)} - 0.02) * interval '30 days' END"
    risk = _random("i", 10)
    question = encode(Question(key="q", title="Go on?"))
    policy = Policy().model_dump_json()
    of_two = Policy(needed=2).model_dump_json()
    tag = f"'tag' || ' ' || {_skewed('i', 1, TAGS)}"
    return {
        "id": _id("request"),
        "state": _id("state"),
        "checkpoint": "1",
        "address": "'q::decision'",
        "question": _quoted(question),
        "title": title,
        "message": "'Somebody asks for it, and it has to be looked at before anything happens.'",
        "risk": f"CASE WHEN {risk} < 0.03 THEN 3 WHEN {risk} < 0.15 THEN 2 WHEN {risk} < 0.7 THEN 1 ELSE 0 END",
        "due_at": due,
        "due_order": f"coalesce({due}, '9999-01-01T00:00Z')",
        "policy": f"(CASE WHEN i % 20 = 0 THEN {_quoted(of_two)} ELSE {_quoted(policy)} END)::jsonb",
        "open_to_all": _OPEN_TO_ALL,
        "digest": "md5(i::text) || md5('b' || i)",
        "pipeline": _PIPELINE,
        "requested_by": f"CASE WHEN i % 50 = 0 THEN {reviewer} ELSE 2 + i % {PEOPLE - 1} END",
        "opened_at": _OPENED,
        "holder": f"CASE WHEN i % 50 = 7 THEN 1 + i % {PEOPLE} END",
        "outcome": f"CASE WHEN i <= {opened} THEN '' ELSE 'approve' END",
        "resolved_at": f"CASE WHEN i <= {opened} THEN NULL ELSE {_DECIDED} END",
        "words": f"array_to_tsvector(string_to_array(lower({title}) || ' ' || {tag}, ' '))",
    }
