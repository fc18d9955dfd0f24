"""Drawing the runs: three pauses in a row, three branches that wait at once, both mixed with steps that fail, and
pauses made by hand; with and without a quorum, a time to undo, a way back and an outcome of waiting too long."""

import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.conformance.chaos.pipelines import Course, Stage, StageKind

TAKES_S = (0, 0, 0.01, 0.05, 0.3)
SHAPES = ("row", "branches", "group", "mixed", "by hand")


def draw_course(draw: random.Random, folder: Path) -> tuple[str, Course]:
    """The name of a pipeline and its input; one run in ten waits for nobody in the end."""
    shape, numbers = draw.choice(SHAPES), count(1)
    stages = list(_stages(shape, draw, numbers))
    if draw.random() < 0.1:
        stages.append(Stage(kind="gate", name=f"gate-{next(numbers)}", is_for_nobody=True))
    pipeline = "chaos-by-hand" if shape == "by hand" else "chaos-course"
    return pipeline, Course(folder=folder, stages=stages)


def _stages(shape: str, draw: random.Random, numbers: Iterator[int]) -> Iterator[Stage]:
    def one(*kinds: StageKind) -> Stage:
        kind = draw.choice(kinds)
        return Stage(
            kind=kind,
            name=f"{kind}-{next(numbers)}",
            takes_s=draw.choice(TAKES_S),
            can_go_back=kind in ("gate", "ask") and draw.random() < 0.4,
            is_grouped=shape == "group",
            needed=draw.choice([1, 1, 2]) if kind == "gate" else 1,
            undo_window_s=draw.choice([0, 0, 0.5]),
            on_expire=draw.choices(["reject", "approve", "cancel"], [5, 4, 1])[0],
        )

    def beside(*branches: list[Stage]) -> Stage:
        return Stage(kind="branches", name=f"branches-{next(numbers)}", branches=list(branches))

    if shape == "row":
        for _ in range(3):
            yield one("step")
            yield one("gate", "ask")
    elif shape in ("branches", "group"):
        yield one("step")
        yield beside(*([one("gate", "ask"), one("step")] for _ in range(3)))
    elif shape == "mixed":
        yield one("flaky")
        yield one("gate")
        yield beside(
            [one("step"), one("gate"), one("flaky"), one("ask")],
            [one("ask"), one("breaks", "step")],
            [one("breaks", "flaky"), one("gate", "ask")],
        )
        yield one("gate", "breaks")
    else:
        for _ in range(3):
            yield one("gate")
            yield one("step", "flaky", "breaks")
    yield one("step")


def steps_of(stages: list[Stage]) -> Iterator[Stage]:
    """All stages, those of branches too."""
    for stage in stages:
        yield stage
        for branch in stage.branches:
            yield from steps_of(branch)
