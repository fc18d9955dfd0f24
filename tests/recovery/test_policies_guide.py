"""The guide to policies: its code runs, and it leaves no rule and no comparison out."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel

from recovery import pipelines
from recovery.models import ApprovalRequest
from recovery.permissions import policy_of
from recovery.services.conditions import WORDS
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state
from rh_agents import Policy

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guide" / "policies.md").read_text(encoding="utf-8")


class Payout(BaseModel):
    amount: Decimal


def named(heading):
    """What stands in code in the first column of the table under a heading."""
    section = GUIDE.split(f"## {heading}")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_every_rule_of_a_policy_is_there():
    assert sorted(named("The rules")) == sorted(Policy.model_fields)


def test_every_comparison_of_a_rule_is_there():
    assert sorted(named("Rules that decide")) == sorted(WORDS)


@pytest.mark.django_db
@pytest.mark.parametrize(("amount", "needed", "from_groups"), [("100", 1, {}), ("6000", 2, {"legal": 1})])
def test_its_pipeline_asks_under_the_policies_that_it_says(amount, needed, from_groups):
    [code] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    exec(code, {"__name__": "guide", "Payout": Payout})
    try:
        work_on_state(start_run("payouts", {"amount": amount}).pk)
    finally:
        pipelines.unregister("payouts")
    policy = policy_of(ApprovalRequest.objects.get())
    assert (policy.groups, policy.remind_every_s, policy.needed, policy.from_groups) == (
        {"finance"},
        14400.0,
        needed,
        from_groups,
    )
