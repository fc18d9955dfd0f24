"""Addresses: parts that may stand in one, and how a path and an address say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rh_agents.core.addressing import MAX_ADDRESS_LENGTH, check_part, is_within, join, path_of
from rh_agents.core.errors import AddressError, RhAgentsError
from rh_agents.core.types import EventType


def is_part(text: str) -> bool:
    try:
        return check_part(text) == text
    except AddressError:
        return False


names = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12).filter(is_part)
paths = st.lists(names, min_size=1, max_size=6).map(tuple)
types = st.sampled_from([str(event_type) for event_type in EventType])


def test_an_address_is_the_path_and_the_type() -> None:
    assert join(("process_data",), EventType.TOOL_CALL) == "process_data::tool_call"
    assert join(("planner#2", "search"), "tool_call") == "planner#2::search::tool_call"


@pytest.mark.parametrize("part", ["a", "process_data", "with space", "Zoë 😀", "a:b", "[0]", "a" * 900])
def test_a_name_may_be_any_text_that_can_be_shown(part: str) -> None:
    assert check_part(part) == part


@pytest.mark.parametrize(
    "part", ["", " ", "\t", "a::b", "::", "a#2", "#", ":a", "a:", "a\x00", "a\nb", "\u200e", "\ud800", "a\u2028b"]
)
def test_a_name_that_would_blur_an_address_is_refused_by_what_it_is(part: str) -> None:
    with pytest.raises(AddressError, match="tag") as caught:
        check_part(part, "tag")
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, RhAgentsError)


def test_an_address_has_at_most_a_thousand_characters() -> None:
    longest = "a" * (MAX_ADDRESS_LENGTH - len("::tool_call"))
    assert len(join((longest,), "tool_call")) == 1000
    with pytest.raises(AddressError, match="1001"):
        join((longest + "a",), "tool_call")


@given(paths, types)
def test_the_path_of_an_address_is_the_one_it_was_made_of(path: tuple[str, ...], event_type: str) -> None:
    assert path_of(join(path, event_type)) == path


@given(paths, types, st.integers(2, 10_000))
def test_as_a_parent_a_repeated_call_carries_its_number_in_its_name(
    path: tuple[str, ...], event_type: str, occurrence: int
) -> None:
    address = f"{join(path, event_type)}#{occurrence}"
    assert path_of(address) == (*path[:-1], f"{path[-1]}#{occurrence}")


@given(paths, paths, types, types)
def test_two_paths_have_two_addresses(
    one: tuple[str, ...], other: tuple[str, ...], one_type: str, other_type: str
) -> None:
    assert (join(one, one_type) == join(other, other_type)) == ((one, one_type) == (other, other_type))


@given(paths, paths, types, types)
def test_a_step_is_within_exactly_those_whose_path_its_own_begins_with(
    outer: tuple[str, ...], rest: tuple[str, ...], outer_type: str, inner_type: str
) -> None:
    parent, child = join(outer, outer_type), join((*outer, *rest), inner_type)
    assert is_within(child, parent)
    assert not is_within(parent, child)
    assert not is_within(parent, parent)
    assert not is_within(child, f"{parent}#2")


def test_a_step_of_the_second_call_is_not_within_the_first() -> None:
    assert is_within("planner#2::search::tool_call", "planner::agent_call#2")
    assert not is_within("planner#2::search::tool_call", "planner::agent_call")
    assert not is_within("planner::search::tool_call", "planner::agent_call#2")
    assert not is_within("planner_b::search::tool_call", "planner::agent_call")
