"""The timeline of a run: a tree by addresses, work to scale, waiting as a band, and only a window of it at a time."""

from itertools import pairwise

import pytest

from recovery.rendering import quantities
from recovery.rendering.failures import traceback_lines
from recovery.rendering.step_tree import Attempt, StepTree
from recovery.rendering.time_axis import Band, Halt, Interval, Piece, Stop, TimeAxis, stops_between
from recovery.rendering.timeline import Timeline, anchor_of


def attempt(address, start=0.0, took=1.0, *, position=None, number=1, status="completed", actor="", error=""):
    attempt.clock += 1
    *path, kind = address.split("::")
    return Attempt(
        position=attempt.clock if position is None else position,
        address=address,
        attempt=number,
        status=status,
        actor=actor or path[-1].partition("[")[0].partition("#")[0],
        event_type=kind.partition("#")[0],
        started_at=start,
        duration_s=took,
        size=0,
        fingerprint="",
        error_type=error,
        added_in=1,
    )


attempt.clock = 0


def outline(attempts, now=100.0):
    return [(step.depth, step.name) for step in StepTree(sorted(attempts), now).steps]


# ---- The tree ----


def test_a_step_stands_under_its_caller_by_its_own_name():
    parent = attempt("plan::agent_call")
    assert outline([parent, attempt("plan::search::tool_call"), attempt("write::llm_call")]) == [
        (0, "plan::agent_call"),
        (1, "search::tool_call"),
        (0, "write::llm_call"),
    ]


def test_the_children_of_a_second_call_stand_under_the_second_call():
    assert outline(
        [
            attempt("plan::agent_call"),
            attempt("plan::search::tool_call"),
            attempt("plan::agent_call#2"),
            attempt("plan#2::search::tool_call"),
        ]
    ) == [
        (0, "plan::agent_call"),
        (1, "search::tool_call"),
        (0, "plan::agent_call#2"),
        (1, "search::tool_call"),
    ]


def test_branches_side_by_side_are_siblings_in_the_order_in_which_they_began():
    tree = [
        attempt("all::agent_call"),
        attempt("all::score[1]::llm_call"),
        attempt("all::score[0]::llm_call"),
        attempt("all::score[1]::look::tool_call"),
    ]
    assert outline(tree) == [
        (0, "all::agent_call"),
        (1, "score[1]::llm_call"),
        (2, "look::tool_call"),
        (1, "score[0]::llm_call"),
    ]


def test_a_tag_is_no_caller():
    assert outline([attempt("search::weather::tool_call", actor="search")]) == [(0, "search::weather::tool_call")]


def test_a_caller_without_a_record_is_there_for_its_children():
    tree = StepTree([attempt("plan::search::tool_call", 3, 1), attempt("plan::read::tool_call", 5, 2)], now=9)
    assert [(step.depth, step.name, len(step.attempts)) for step in tree.steps] == [
        (0, "plan", 0),
        (1, "search::tool_call", 1),
        (1, "read::tool_call", 1),
    ]
    assert (tree.steps[0].start, tree.steps[0].end) == (3, 7)


def test_callers_without_records_stand_inside_of_each_other_as_far_as_that_is_known():
    assert outline([attempt("a::b::c::tool_call"), attempt("a::d::tool_call")]) == [
        (0, "a"),
        (1, "b"),
        (2, "c::tool_call"),
        (1, "d::tool_call"),
    ]


def test_a_parent_that_ran_again_after_a_pause_keeps_its_place_before_its_older_children():
    child = attempt("plan::search::tool_call", 1, 2, position=2)
    again = attempt("plan::agent_call", 50, 1, position=9)
    tree = StepTree([child, again], now=60)
    assert [step.name for step in tree.steps] == ["plan::agent_call", "search::tool_call"]
    assert (tree.steps[0].start, tree.steps[0].end) == (1, 51)


def test_two_steps_of_one_name_and_different_types_keep_their_own_children():
    assert outline(
        [
            attempt("find::agent_call"),
            attempt("find::look::tool_call"),
            attempt("find::tool_call"),
            attempt("find(tool_call)::fetch::tool_call"),
        ]
    ) == [
        (0, "find::agent_call"),
        (1, "look::tool_call"),
        (0, "find::tool_call"),
        (1, "find(tool_call)::fetch::tool_call"),
    ]


def test_a_question_has_no_children_even_where_a_step_has_its_name():
    assert outline([attempt("ship::decision"), attempt("ship::agent_call"), attempt("ship::pack::tool_call")]) == [
        (0, "ship::decision"),
        (0, "ship::agent_call"),
        (1, "pack::tool_call"),
    ]


def test_attempts_are_one_step_in_their_order():
    [step] = StepTree(
        [attempt("pay::tool_call", number=2, position=7), attempt("pay::tool_call", number=1, position=3)], now=0
    ).steps
    assert [one.attempt for one in step.attempts] == [1, 2]


def test_foreign_addresses_do_no_harm():
    assert outline([attempt("x", actor="x"), attempt("::::", actor="?"), attempt("x::y", actor="")])


def test_a_deep_tree_is_no_problem():
    path, attempts = [], []
    for depth in range(300):
        path.append(f"n{depth % 10}")
        attempts.append(attempt("::".join([*path, "agent_call"])))
    assert [depth for depth, _ in outline(attempts)] == list(range(300))


def test_the_culprit_is_the_innermost_step_that_failed_with_what_its_callers_failed_with():
    tree = StepTree(
        [
            attempt("run::agent_call", status="failed", error="GatewayError"),
            attempt("run::first::tool_call", status="failed", error="KeyError"),
            attempt("run::pay::tool_call", status="failed", error="GatewayError"),
            attempt("run::pay::fall_back::tool_call"),
        ],
        now=0,
    )
    assert tree.culprit().address == "run::pay::tool_call"


def test_a_failure_that_a_caller_caught_and_replaced_is_not_the_culprit():
    tree = StepTree(
        [
            attempt("run::agent_call", status="failed", error="ValueError"),
            attempt("run::pay::tool_call", status="failed", error="GatewayError"),
        ],
        now=0,
    )
    assert tree.culprit().address == "run::agent_call"


def test_a_run_without_failures_has_no_culprit():
    assert StepTree([attempt("a::tool_call")], now=0).culprit() is None


# ---- Stops and the axis ----


def test_an_open_question_stops_a_run_only_where_nothing_else_is_at_work():
    work = [Interval(0, 10), Interval(12, 20), Interval(50, 60)]
    assert stops_between(work, [Halt(5, 50, only_end=True)]) == [Stop(20, 50, True)]


def test_a_halt_between_two_checkpoints_is_a_stop_however_it_is_cut():
    assert stops_between([Interval(0, 10)], [Halt(8, 30, is_waiting=False)]) == [Stop(10, 30, False)]


def test_a_question_and_its_checkpoint_are_one_stop():
    halts = [Halt(10, 40, only_end=True), Halt(10.1, 41)]
    assert stops_between([Interval(0, 10), Interval(41, 42)], halts) == [Stop(10, 41, True)]


def test_a_decision_in_a_moment_does_not_break_the_axis():
    assert stops_between([Interval(0, 10)], [Halt(10, 10.01)]) == []


def test_work_is_to_scale_on_both_sides_of_a_band_of_fixed_width():
    axis = TimeAxis(0, 1040, [Stop(10, 1010, True)])
    assert axis.work_s == 40
    assert axis.waiting_s == 1000
    assert axis.bands == [Band(x=21.5, width=14, is_waiting=True, duration_s=1000, label="16 min")]
    assert [axis.x(moment) for moment in (0, 5, 10, 510, 1010, 1025, 1040)] == pytest.approx(
        [0, 10.75, 21.5, 28.5, 35.5, 67.75, 100]
    )


def test_bars_break_where_the_run_stood_still():
    axis = TimeAxis(0, 120, [Stop(10, 110, True)])
    assert axis.pieces(5, 115) == [Piece(21.5, 21.5, False), Piece(43, 14, True), Piece(57, 21.5, False)]
    assert axis.pieces(7, 7) == [Piece(pytest.approx(30.1), 0, False)]


def test_many_stops_share_less_than_half_of_the_width():
    axis = TimeAxis(0, 100, [Stop(at, at + 5, True) for at in range(0, 100, 10)])
    assert sum(band.width for band in axis.bands) == pytest.approx(42)


def test_a_run_that_only_waits_is_all_band():
    axis = TimeAxis(0, 100, [Stop(0, 100, True)])
    assert (axis.work_s, axis.bands[0].x, axis.bands[0].width) == (0, 0, 100)
    assert axis.ticks() == []


@pytest.mark.parametrize(
    ("work_s", "labels"),
    [
        (24.2, ["5 s", "10 s", "15 s", "20 s"]),
        (0.9, ["0.2 s", "0.4 s", "0.6 s"]),
        (3900, ["15 min", "30 min", "45 min"]),
        (0, []),
    ],
)
def test_ticks_stand_at_round_times(work_s, labels):
    assert [tick.label for tick in TimeAxis(0, work_s).ticks()] == labels


def test_ticks_keep_clear_of_bands_and_of_both_ends():
    axis = TimeAxis(0, 4344.2, [Stop(9.6, 4329.6, True)])
    places = [0, 100, *(band.x + band.width / 2 for band in axis.bands)]
    for tick in axis.ticks():
        assert all(abs(tick.x - place) >= 7 for place in places)
        places.append(tick.x)


@pytest.mark.parametrize("work_s", [0.4, 0.9, 2.2, 7, 61, 3_900, 100_000])
def test_labels_of_the_axis_do_not_touch(work_s):
    # At 432 pixels and 12 pixels of type a character takes about 1.4 percent.
    axis = TimeAxis(0, work_s)
    end = quantities.duration(work_s)
    places = [(0.7 * 3, 3), *((tick.x, len(tick.label)) for tick in axis.ticks()), (100 - 0.7 * len(end), len(end))]
    for (left, left_length), (right, right_length) in pairwise(places):
        assert right - left > 0.7 * (left_length + right_length)


@pytest.mark.parametrize("moment", [-5, 0, 99, 1e12])
def test_every_moment_has_a_place_on_the_axis(moment):
    assert 0 <= TimeAxis(0, 10, [Stop(3, 7, False)]).x(moment) <= 100


# ---- Rows ----


def rows(*attempts, halts=(), now=100.0, is_running=False, **window):
    timeline = Timeline(sorted(attempts), halts, now, is_running=is_running)
    return timeline.window(window.get("first", 0), window.get("at_most", 200))


def test_a_failed_attempt_is_a_bar_of_its_own():
    [row] = rows(
        attempt("pay::tool_call", 0, 2, status="failed"), attempt("pay::tool_call", 6, 4, number=2), is_running=False
    )
    assert [(bar.kind, bar.x, bar.width) for bar in row.bars] == [
        ("failed", "0.00%", "20.00%"),
        ("work", "60.00%", "40.00%"),
    ]
    assert (row.status, row.duration_s, len(row.attempts)) == ("completed", 10, 2)


def test_waiting_is_no_work_of_the_caller_around_it():
    parent, _, question, _ = rows(
        attempt("plan::agent_call", 90, 1, position=9),
        attempt("plan::a::tool_call", 0, 4, position=1),
        attempt("plan::ask::decision", 4, 86, position=2, actor="ask"),
        attempt("plan::b::tool_call", 90, 1, position=10),
    )
    assert parent.duration_s == pytest.approx(5)
    assert [bar.kind for bar in parent.bars] == ["work", "stopped", "work"]
    assert question.duration_s == 86
    assert [bar.kind for bar in question.bars] == ["wait"]


def test_a_caller_that_was_tried_again_is_at_work_from_its_first_child_on():
    parent, _ = rows(
        attempt("plan::agent_call", 5, 2, position=5, status="failed"),
        attempt("plan::agent_call", 9, 1, position=9, number=2),
        attempt("plan::a::tool_call", 0, 4, position=1),
    )
    assert [(bar.kind, bar.x, bar.width) for bar in parent.bars] == [
        ("work", "0.00%", "100.00%"),
        ("failed", "50.00%", "20.00%"),
    ]


def test_an_open_question_waits_until_now_and_so_does_who_asked():
    parent, _, question = rows(
        attempt("plan::a::tool_call", 0, 4),
        attempt("plan::ask::decision", 4, 0, status="awaiting", actor="ask"),
        now=64,
    )
    assert (parent.status, question.status) == ("awaiting", "awaiting")
    assert question.duration_s == 60
    assert parent.duration_s == pytest.approx(4)


@pytest.mark.parametrize(("is_running", "status"), [(True, "running"), (False, "started")])
def test_a_caller_without_a_record_is_running_only_while_the_run_is(is_running, status):
    parent, _ = rows(attempt("plan::a::tool_call", 0, 4), is_running=is_running)
    assert (parent.status, parent.position) == (status, None)


def test_every_bar_can_be_seen_and_stays_inside():
    for row in rows(*(attempt("a::tool_call" + (f"#{n}" if n else ""), n, 1e-6) for n in range(50))):
        [bar] = row.bars
        assert float(bar.width[:-1]) >= 0.35
        assert float(bar.x[:-1]) + float(bar.width[:-1]) <= 100.001


def test_a_window_holds_only_its_rows():
    attempts = [attempt("a::tool_call" + (f"#{n + 1}" if n else ""), n, 1) for n in range(500)]
    shown = rows(*attempts, first=200)
    assert [shown[0].step.address, shown[-1].step.address, len(shown)] == ["a::tool_call#201", "a::tool_call#400", 200]


def test_a_run_without_steps_has_an_empty_timeline():
    timeline = Timeline([], [], 5.0, is_running=True)
    assert (len(timeline), timeline.window(0), timeline.axis.work_s, timeline.above(0)) == (0, [], 0, [])


def test_a_row_keeps_its_anchor_when_it_is_tried_again():
    [once] = rows(attempt("pay::tool_call"))
    [twice] = rows(attempt("pay::tool_call"), attempt("pay::tool_call", number=2))
    assert once.anchor == twice.anchor == anchor_of("pay::tool_call")
    assert once.version != twice.version


# ---- Tracebacks ----

TRACE = """Traceback (most recent call last):
  File "/srv/app/rh_agents/core/attempt.py", line 84, in run
    result = await self.actor.perform(input_data, context, state)
  File "/srv/app/shop/pipelines.py", line 88, in card_refund
    reply = await gateway.refund(order)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/venv/lib/python3.11/site-packages/httpx/client.py", line 57, in refund
    raise GatewayError(reply.status)
shop.gateway.GatewayError: 502 upstream_timeout
"""


def test_only_the_frames_of_ones_own_code_are_marked():
    lines = traceback_lines(TRACE, "/srv/app")
    assert [line.text for line in lines if line.is_own] == [
        '  File "shop/pipelines.py", line 88, in card_refund',
        "    reply = await gateway.refund(order)",
        "            ^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    ]
    assert [line.text for line in lines if line.is_error] == ["shop.gateway.GatewayError: 502 upstream_timeout"]


def test_a_traceback_without_end_is_cut_in_its_middle():
    frame = '  File "a.py", line 1, in f\n    f()\n'
    lines = traceback_lines("Traceback (most recent call last):\n" + frame * 5000 + "RecursionError: too deep\n")
    assert len(lines) == 201
    assert lines[100].text == "  … 9,802 lines left out …"
    assert lines[-1] == ("RecursionError: too deep", False, True)


def test_hidden_characters_of_a_message_are_written_out():
    [line] = traceback_lines("ValueError: a\u202eb")
    assert line.text == "ValueError: a⟨U+202E⟩b"


def test_no_traceback_has_no_lines():
    assert traceback_lines("") == []
