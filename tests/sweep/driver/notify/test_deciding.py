"""What is due to be told, and when; no clock, no I/O."""

from __future__ import annotations

from typing import Any

from sweep.driver.monitor.progress import BestSoFar, StudyView
from sweep.driver.notify.deciding import Decider, Ending, Happened
from sweep.driver.notify.message import About, Message, Words
from sweep.spec.notify import Notify

ABOUT = About("digits", "accuracy", "mac-1", earlier_s=60.0)


def view(best: int | None = None, *, running: int = 4, stopping: bool = False, slots: int = 2) -> StudyView:
    found = None if best is None else BestSoFar(best, 0.5 + best / 100, {"learning_rate": 0.0123456})
    return StudyView(
        ended={"COMPLETE": 5, "FAIL": 1}, running=running, budget=48, slots=slots, lanes=4, lanes_busy=4,
        slots_busy=2, elapsed_s=65.0, examples_per_s=1.0, best=found, stopping=stopping,
    )  # fmt: skip


def decider(told: tuple[dict[str, Any], ...] = (), stop_after: int | None = 5, **keys: Any) -> Decider:
    notify = Notify.model_validate({"macos": True, **keys})
    return Decider(notify, Words(ABOUT, notify.include), stop_after=stop_after, told=told)


def due(decider: Decider, happened: Happened, now: float) -> list[Message]:
    return list(decider.due(happened, now))


def best(decider: Decider, view: StudyView, now: float) -> int | None:
    message = decider.best(view, now)
    return None if message is None else message.trial


def test_a_new_best_is_told_at_once_and_those_that_follow_in_one_message_each_interval() -> None:
    mine = decider(every="10m", on="best")
    assert best(mine, view(1), 0.0) == 1
    for number, now in ((2, 10.0), (3, 300.0), (4, 599.0)):
        assert best(mine, view(number), now) is None
    assert best(mine, view(4), 600.0) == 4
    assert best(mine, view(4), 2000.0) is None
    assert best(decider(on="end"), view(1), 0.0) is None


def test_a_best_of_an_earlier_session_is_told_unless_it_was() -> None:
    assert best(decider(), view(7), 0.0) == 7
    assert best(decider(({"about": "best", "trial": 7},)), view(7), 0.0) is None
    assert best(decider(({"about": "end", "trial": 7, "ended": 6},)), view(7), 0.0) is None


def test_the_end_is_told_once_for_each_number_of_trials() -> None:
    happened = Happened(0.0, view(3), ending=Ending())
    mine = decider()
    [message] = due(mine, happened, 0.0)
    assert due(mine, happened, 1.0) == []
    assert message.title == "digits: finished"
    assert message.text == "5 complete, 1 fail in 2m 05s. Best: trial 3, accuracy 0.53."
    assert (message.trial, message.ended) == (3, 6)
    assert due(decider(({"about": "end", "ended": 6},)), happened, 0.0) == []
    assert len(due(decider(({"about": "end", "ended": 5},)), happened, 0.0)) == 1
    assert due(decider(on="failure"), happened, 0.0) == []


def test_a_study_that_stopped_by_itself_is_told_and_the_reason_only_if_asked() -> None:
    happened = Happened(0.0, view(), ending=Ending("5 trials in a row failed.", "no file data/secret.npz"))
    [message] = due(decider(), happened, 0.0)
    assert message.text == (
        "5 trials in a row failed. 6 of 48 trials ended. Mend the cause; the same command resumes it."
    )
    assert "secret" not in str(message.as_json())
    [message] = due(decider(include="reasons"), happened, 0.0)
    assert message.text.endswith("The reason: no file data/secret.npz")


def test_trials_that_break_one_after_another_are_told_once_until_one_ends_well() -> None:
    mine, happened = decider(), Happened(0.0, view())
    for count, expected in enumerate([0, 0, 1, 0], start=1):
        happened.end(broke=True, reason="boom", now=float(count))
        assert len(due(mine, happened, float(count))) == expected, count
    happened.end(broke=False, reason=None, now=5.0)
    assert due(mine, happened, 5.0) == []
    for count, expected in enumerate([0, 0, 1], start=1):
        happened.end(broke=True, reason="boom", now=5.0 + count)
        assert len(due(mine, happened, 5.0 + count)) == expected
    few = decider(stop_after=3)
    assert due(few, happened, 9.0) == []  # the study stops, and that is told


def test_silence_is_told_by_the_usual_gap_and_again_only_after_something_came() -> None:
    mine, happened = decider(on="silence"), Happened(0.0, view())
    assert due(mine, happened, 3599.0) == []
    for now in (400.0, 800.0, 1200.0):
        happened.report(now)
    assert due(mine, happened, 1200.0 + 3 * 400) == []
    [message] = due(mine, happened, 1200.0 + 3 * 400 + 1)
    assert message.title == "digits: no report for 20m 01s"
    assert due(mine, happened, 9000.0) == []
    happened.report(9001.0)
    assert due(mine, happened, 9001.0 + 3 * 7801) == []
    assert len(due(mine, happened, 9002.0 + 3 * 7801)) == 1


def test_short_gaps_are_silent_for_ten_minutes_at_least_and_a_key_says_otherwise() -> None:
    happened = Happened(0.0, view())
    happened.report(1.0)
    assert due(decider(on="silence"), happened, 600.0) == []
    assert len(due(decider(on="silence"), happened, 602.0)) == 1
    assert len(due(decider(on="silence", silence="30s"), happened, 32.0)) == 1


def test_silence_before_the_first_report_and_without_a_trial() -> None:
    happened = Happened(0.0, view(slots=0))
    [message] = due(decider(on="silence"), happened, 3601.0)
    assert "No worker is connected." in message.text
    assert due(decider(on="silence"), Happened(0.0, view(running=0)), 9999.0) == []


def test_nothing_is_told_while_the_study_stops_or_before_it_begins() -> None:
    assert due(decider(), Happened(0.0, view(1, stopping=True)), 9999.0) == []
    assert best(decider(), view(1, stopping=True), 9999.0) is None
    assert due(decider(), Happened(0.0), 9999.0) == []
    assert due(decider(), Happened(0.0, ending=Ending()), 0.0) == []


def test_hyperparameters_travel_only_if_asked() -> None:
    message = decider().best(view(3), 0.0)
    assert message is not None
    assert "learning_rate" not in str(message.as_json())
    assert message.as_json()["best"] == 0.53
    message = decider(include=["hyperparameters"]).best(view(3), 0.0)
    assert message is not None
    assert "with learning_rate=0.01235" in message.text
    assert message.as_json()["hyperparameters"] == {"learning_rate": 0.0123456}


def test_a_reason_of_any_bytes_can_be_sent() -> None:
    happened = Happened(0.0, view(3), ending=Ending("An error ended it.", "no file \udcff\0 there"))
    [message] = due(decider(include=["reasons"]), happened, 0.0)
    assert message.text.endswith("The reason: no file ?  there")
