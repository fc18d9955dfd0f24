"""Searching requests: what is found, on both databases alike, and that no query can do harm."""

import pytest
from django.db import connection

from recovery.models import ApprovalRequest, State, Tag
from recovery.models.words import LONGEST_WORD, WORDS_AT_MOST, words_of
from tests.web.waiting import ask, settle

pytestmark = pytest.mark.django_db


def found(text):
    return sorted(request.title for request in ApprovalRequest.objects.matching(text))


@pytest.fixture
def _some(db):
    ask("Refund to Marta Lindqvist", tags=["eu", "VIP-gold"], message="The *second* parcel of SE-204417 never came.")
    ask("Vendor Ødegård & Sønner AS", message="100% sure, o'clock: \\back [x]")
    ask("支払いを承認", tags=["日本"])
    described = ask("Roll back")
    State.objects.filter(pk=described.state_id).update(description="checkout-api in eu_west")
    ApprovalRequest.objects.filter(pk=described.pk).renew_words()


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("lindqvist", ["Refund to Marta Lindqvist"]),
        ("LIND mar", ["Refund to Marta Lindqvist"]),
        ("marta odegard", []),
        ("qvist", []),
        ("ødegard", ["Vendor Ødegård & Sønner AS"]),
        ("Odegård", []),
        ("gold", ["Refund to Marta Lindqvist"]),
        ("vip-GOLD", ["Refund to Marta Lindqvist"]),
        ("eu", ["Refund to Marta Lindqvist", "Roll back"]),
        ("204417 second", ["Refund to Marta Lindqvist"]),
        ("checkout west", ["Roll back"]),
        ("承認", ["支払いを承認"]),
        ("日", ["支払いを承認"]),
        ("100%", ["Vendor Ødegård & Sønner AS"]),
        ("o'clock", ["Vendor Ødegård & Sønner AS"]),
    ],
)
def test_each_word_begins_a_word_of_title_message_description_or_tags(_some, text, titles):
    assert found(text) == titles


@pytest.mark.parametrize(
    "text",
    [
        '"',
        "'",
        "' OR 1=1 --",
        "lind:*'",
        "\\",
        "\\'",
        "a & | !",
        "!!a",
        "NEAR(a b)",
        "NOT",
        "AND OR NOT",
        "words:refund",
        "^refund",
        "refund*",
        '"refund" - "x"',
        "{words}: a",
        "%s %(x)s %",
        "\ud800",
        "\u0000",
        "\u202e",
        "\U0001d50a\U0001d52c",
        "²³ ½ Ⅷ ٣ १",
        "x" * 5000,
        "a " * 3000,
        "(((((",
        "e" + "\u0301" * 500,
        "ﷺ" * 100,
    ],
)
def test_a_hostile_query_is_only_words(_some, text):
    assert found(text) == found(" ".join(words_of(text)))
    assert ApprovalRequest.objects.count() == 4


def test_nothing_but_signs_finds_nothing(_some):
    assert found("%%% --- ''") == []


def test_words_are_plain_short_and_not_too_many():
    assert words_of("Ünïcode_and CamelCase", "straße STRASSE") == ["unicode", "and", "camelcase", "strasse"]
    assert words_of("\U0001d50a\U0001d52c \u210c \u01c4") == ["go", "h", "dz"]
    assert words_of("x" * 5000) == ["x" * LONGEST_WORD]
    assert len(words_of(" ".join(str(number) for number in range(WORDS_AT_MOST + 10)))) == WORDS_AT_MOST


def test_a_text_as_long_as_any_is_kept_and_found():
    ask("Long", message="\n".join(f"line{number} " + "\u017f" * 70 for number in range(20_000)))
    assert found("line7") == ["Long"]


def test_what_is_claimed_decided_and_deleted_stays_found_and_goes(ada):
    request = ask("Sought")
    request.holder = ada
    request.save()
    settle(request, ada)
    assert found("sought") == ["Sought"]
    request.state.delete()
    assert found("sought") == []
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM recovery_requestwords")
            assert cursor.fetchone() == (0,)
            cursor.execute(
                "SELECT count(*) FROM recovery_requestwords_fts WHERE recovery_requestwords_fts MATCH 'sought'"
            )
            assert cursor.fetchone() == (0,)


def test_a_run_that_is_tagged_anew_is_found_by_its_new_tags(run_until_it_waits):
    state = run_until_it_waits(tags=["before"])
    Tag.objects.filter(state=state).update(tag="after")
    assert found("before") and not found("after")
    ApprovalRequest.objects.filter(state=state).renew_words()
    assert found("after") and not found("before")
