"""How many reports a turn brings: several where they come quickly and nothing depends on one of them."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.scheduler import Aim, Limits
from sweep.scheduler.limits import Patience
from sweep.scheduler.messages import Record
from sweep.vocabulary.trial import Length
from tests.sweep.world import World

REPORTS = 12


def world(
    trials: int, *, turn_s: float = 0.001, width: int = 1, reports: int = REPORTS, **more: Any
) -> World:
    limits = Limits(trials=trials, objectives=(Aim("value"),), width=width, **more)
    found = World.of(limits, length=Length(reports, 1), turn_s=turn_s)
    found.join()
    return found


def worked(found: World) -> list[int]:
    """Work to the end; how many reports each turn was to bring."""
    taken = []
    while turns := found.workers["slot-1"].turns:
        taken.append(turns[0].reports)
        found.work("slot-1")
    return taken


def test_quick_reports_come_several_a_turn_and_each_is_recorded_once() -> None:
    found = world(3)
    taken = worked(found)
    assert found.told.keys() == {0, 1, 2}
    assert set(found.reports.values()) == {1}
    assert len(found.reports) == 3 * REPORTS
    assert taken[:2] == [1, 1], "nothing is known of the first"
    assert taken[-1] == REPORTS, "a whole trial is one message"


def test_of_another_program_nothing_is_known() -> None:
    found = World.of(Limits(trials=6, objectives=(Aim("value"),)), length=Length(REPORTS, 1), turn_s=0.001)
    found.programs = 2
    found.join()
    taken = list[tuple[object, int]]()
    while turns := found.workers["slot-1"].turns:
        taken.append((turns[0].signature, turns[0].reports))
        found.work("slot-1")
    first = [
        number for (program, number), (before, _) in zip(taken[1:], taken, strict=False) if program != before
    ]
    assert first
    assert set(first) == {1}
    assert max(number for _, number in taken) > 1


@pytest.mark.parametrize(
    "more",
    [
        {"turn_s": 0.04},
        {"prunes": True},
        {"patience": Patience(20, 0.0)},
    ],
)
def test_slow_reports_and_those_that_something_depends_on_come_one_a_turn(more: dict[str, Any]) -> None:
    assert set(worked(world(2, **more))) == {1}


def test_no_run_ends_within_a_turn() -> None:
    found = world(8, width=4, reports=5)
    taken = worked(found)
    assert sorted(found.told) == list(range(8))
    assert set(found.reports.values()) == {1}
    assert any(turn > 1 for turn in taken)


def test_a_long_message_brings_one_report_of_each_lane() -> None:
    found = world(300, width=300, max_concurrent=300)
    assert set(worked(found)) == {1}


def test_a_run_that_failed_reports_one_by_one_until_it_has_come_further() -> None:
    found = world(1, reports=30, retries=1)
    for _ in range(2):
        found.work("slot-1")
    assert found.workers["slot-1"].turns[0].reports > 1
    found.state.trials[0].runs[0].retried = 1
    found.work("slot-1")
    assert found.told or found.state.trials[0].runs[0].retried == 0


def test_the_time_of_a_turn_is_spread_over_its_reports() -> None:
    found, times = world(1), list[float]()
    perform = found._perform

    def noted(instructions: list[Any]) -> Any:
        times.extend(each.lane_s for each in instructions if isinstance(each, Record))
        return perform(instructions)

    found._perform = noted  # type: ignore[method-assign]
    taken = worked(found)
    assert len(times) == REPORTS
    assert times == sorted(times)
    assert times[-1] == pytest.approx(len(taken))
    assert len(set(times)) == REPORTS
