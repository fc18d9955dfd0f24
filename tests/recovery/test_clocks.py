"""The watch over a process's clock: jumps forward are noticed, everything else is let pass."""

import logging

import pytest

from recovery.services.clocks import ClockWatch


class Machine:
    """Two clocks that are set by hand."""

    def __init__(self):
        self.wall, self.monotonic = 1_800_000_000.0, 50.0

    def passes(self, seconds, *, clock_says=None):
        self.monotonic += seconds
        self.wall += seconds if clock_says is None else clock_says


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def watch(machine):
    return ClockWatch(lambda: machine.wall, lambda: machine.monotonic)


def test_a_clock_that_runs_as_it_should_is_steady_from_the_start(machine, watch):
    assert watch.is_steady(180)
    for _ in range(100):
        machine.passes(5)
        assert watch.is_steady(180)


def test_after_a_jump_forward_it_is_steady_again_when_it_has_run_well_for_long_enough(machine, watch):
    machine.passes(5, clock_says=3600)
    assert not watch.is_steady(180)
    machine.passes(179)
    assert not watch.is_steady(180)
    machine.passes(1)
    assert watch.is_steady(180)


def test_a_jump_that_nobody_looked_at_for_long_counts_from_when_it_was_noticed(machine, watch):
    machine.passes(10_000, clock_says=20_000)
    assert not watch.is_steady(180)
    machine.passes(179)
    assert not watch.is_steady(180)
    machine.passes(1)
    assert watch.is_steady(180)


def test_many_small_steps_forward_are_a_jump_too(machine, watch):
    answers = []
    for _ in range(5):
        machine.passes(5, clock_says=7)
        answers.append(watch.is_steady(180))
    assert answers == [True, True, False, False, False]


def test_a_clock_that_is_set_back_holds_nothing_up(machine, watch):
    machine.passes(5, clock_says=-3600)
    assert watch.is_steady(180)


def test_a_clock_that_is_set_back_and_then_forward_again_has_jumped(machine, watch):
    machine.passes(5, clock_says=-3600)
    assert watch.is_steady(180)
    machine.passes(5, clock_says=3605)
    assert not watch.is_steady(180)


@pytest.mark.parametrize("gained_s", [-5.0, 0.4, 4.9])
def test_small_corrections_are_no_jumps(machine, watch, gained_s):
    machine.passes(60, clock_says=60 + gained_s)
    assert watch.is_steady(180)


def test_without_a_time_to_settle_the_clock_is_believed(machine, watch):
    machine.passes(5, clock_says=3600)
    assert watch.is_steady(0)


def test_each_jump_is_warned_of_once(machine, watch, caplog):
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        machine.passes(5, clock_says=605)
        for _ in range(40):
            watch.is_steady(60)
            machine.passes(5)
    assert [record.message.split(" by ")[1].split(",")[0] for record in caplog.records] == ["600 s", "600 s"]


def test_what_it_remembers_does_not_grow(machine, watch):
    for _ in range(1000):
        machine.passes(5)
        watch.is_steady(60)
    assert len(watch._seen) <= 14
