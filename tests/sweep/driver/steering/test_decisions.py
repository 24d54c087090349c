"""What comes of a request: each that is refused says why in one line, with what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runlog.steered import Setting, Steered
from sweep.driver.steering.channel import Request
from sweep.driver.steering.decisions import Decision, Standing, decide
from sweep.driver.steering.settings import read_values
from sweep.spec.parse import parse

TEXT = """\
name: line
task: line.py:Line
objective: {metric: validation_loss, direction: minimize}
space:
  learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}
  momentum: {low: 0.5, high: 0.9, when: {optimizer: sgd}}
  optimizer: {choices: [sgd, adam]}
  hidden: {low: 16, high: 64, step: 16}
trial: {micro_batch_size: 16, length: {epochs: 3}}
budget: {trials: 8}
"""


def standing(*changes: tuple[str, str], **more: Any) -> Standing:
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    given = {
        "ended": {0: "COMPLETE", 1: "FAIL"},
        "live": {2: True, 3: False},
        "used": 4,
        "ended_in_budget": 2,
        "runs": True,
    }
    return Standing("runs/line", parse(text, "study.yaml"), Steered(), **{**given, **more})


def asked(found: Standing, verb: str, **arguments: Any) -> Decision:
    return decide(Request("1", verb, arguments), found)


def set_(found: Standing, **texts: str) -> Decision:
    return asked(found, "set", **read_values({key.replace("__", "."): text for key, text in texts.items()}))


@pytest.mark.parametrize(
    ("key", "text", "answer"),
    [
        ("budget.trials", "200", "budget.trials: 8 -> 200"),
        ("budget.trials", "2", "budget.trials: 8 -> 2"),
        ("budget.trials", "8", "budget.trials is 8 already"),
        ("budget.time", "2h", "budget.time: not set -> 2h"),
        ("max_concurrent", "3", "max_concurrent: auto -> 3"),
        ("lanes", "auto", "lanes is auto already"),
        ("stop.target", "0.5", "stop.target: not set -> 0.5"),
        ("stop.terminator", "{name: best_value_stagnation}", "stop.terminator: not set -> a mapping"),
        ("checkpoints.keep_best", "0", "checkpoints.keep_best: 3 -> 0"),
        ("checkpoints.every", "5s", "checkpoints.every: 1m -> 5s"),
        ("failures.stop_after", "null", "failures.stop_after: 5 -> not set"),
    ],
)
def test_a_key_is_set(key: str, text: str, answer: str) -> None:
    found = asked(standing(), "set", **read_values({key: text}))
    assert (found.answer, found.accepted) == (answer, True)
    assert found.spec is not None


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("budget.trials", "1", "budget.trials=1 is below the 2 trials that have ended. Set 2 or more"),
        ("budget.trials", "many", "budget.trials: must be an integer"),
        ("budget.trials", "null", "budget: needs `trials`, `time` or both"),
        ("budget.trails", "9", "there is no key budget.trails to set: did you mean `budget.trials`?"),
        ("budget", "9", "budget has several keys. Set one of budget.trials, budget.time"),
        ("sampler.name", "grid", "sampler.name may not change: trials so far depend on it. Start another"),
        ("trial.length", "{epochs: 9}", "trial.length may not change: trials so far depend on it"),
        ("seed", "4", "seed may not change: trials so far depend on it"),
        ("space.hidden", "{low: 1, high: 2}", "space.hidden cannot be set by hand. Stop the study, edit its"),
        ("cluster", "lab.yaml", "cluster cannot be set by hand. Stop the study, edit its file"),
        ("enqueue", "[]", "enqueue: a point is added with python -m sweep enqueue RUN NAME=VALUE"),
        ("stop.terminator", "{name: best_value_stagnation, most: 3}", "stop.terminator.most: "),
        ("checkpoints.store", "file:///x", "checkpoints.store cannot be set by hand"),
        ("lanes", "0", "lanes: must be an integer of at least 1, or auto"),
        ("frobnicate", "1", "there is no key frobnicate to set: known here: budget.trials"),
    ],
)
def test_a_key_is_refused(key: str, text: str, why: str) -> None:
    found = asked(standing(), "set", **read_values({key: text}))
    assert not found.accepted
    assert found.answer.startswith(why), found.answer
    assert "\n" not in found.answer


def test_several_keys_are_set_together_or_not_at_all() -> None:
    both = set_(standing(), budget__trials="9", stop__patience="4")
    assert both.answer == "budget.trials: 8 -> 9, stop.patience: not set -> 4"
    assert both.arguments == {"budget.trials": 9, "stop.patience": 4}
    assert both.file == {"budget.trials": 8, "stop.patience": None}
    assert not set_(standing(), budget__trials="9", stop__patience="0").accepted


def test_a_key_that_was_set_before_keeps_what_the_file_had() -> None:
    steered = Steered(settings={"budget.trials": Setting(16, 8, 0.0)})
    found = set_(replace(standing(("trials: 8", "trials: 16")), steered=steered), budget__trials="24")
    assert found.file == {"budget.trials": 8}


def test_where_nothing_trains_it_is_said_when_it_is_in_effect() -> None:
    assert set_(standing(runs=False), budget__trials="9").answer.endswith(", when the study is next run")
    paused = set_(standing(runs=False, waits=True), budget__trials="9")
    assert paused.answer.endswith(", once the study is resumed")


def test_a_program_s_own_trials_take_what_means_something_there() -> None:
    own = standing(by_program=True)
    assert set_(own, budget__trials="9").accepted
    assert "a Python program trains the trials" in set_(own, lanes="4").answer
    for verb in ("pause", "stop"):
        assert "a Python program trains the trials of this study" in asked(own, verb).answer
    assert asked(own, "finish", trial=2).accepted


def test_functions_and_commands_have_no_lanes() -> None:
    own = standing(
        ("line.py:Line", "line.py:train"), ("trial: {micro_batch_size: 16, length: {epochs: 3}}\n", "")
    )
    assert set_(own, lanes="4").answer == "lanes: a function trains one trial at a time in each worker"


def test_a_point_is_tried_next() -> None:
    found = asked(standing(), "enqueue", learning_rate=0.01, hidden=32)
    assert (found.accepted, found.answer) == (True, "is tried next")
    assert found.arguments == {"learning_rate": 0.01, "hidden": 32}
    behind = asked(replace(standing(), steered=Steered(points={"0": {}})), "enqueue", hidden=16)
    assert behind.answer == "is tried next, after 1 that wait"


@pytest.mark.parametrize(
    ("point", "why"),
    [
        ({"learning_rate": 5.0}, "learning_rate: must be within space.learning_rate, got 5.0"),
        ({"hidden": 17}, "hidden: is not a step of space.hidden, got 17. Write 16 or 32"),
        ({"hiden": 16}, "hiden: `space` has no hiden. Did you mean `hidden`?"),
        ({"optimizer": "adam", "momentum": 0.6}, "momentum: does not apply, as its `when` does not hold"),
        ({}, "a point needs a value at least. Write NAME=VALUE"),
    ],
)
def test_a_point_outside_of_the_space_is_refused(point: dict[str, Any], why: str) -> None:
    found = asked(standing(), "enqueue", **point)
    assert not found.accepted
    assert found.answer.startswith(why), found.answer


def test_a_point_that_would_never_be_tried_is_refused() -> None:
    used = asked(standing(used=8), "enqueue", hidden=16)
    assert used.answer == (
        "the budget of 8 trials is used. Raise it first: python -m sweep set runs/line budget.trials=9"
    )
    ends = asked(standing(asks_no_more="budget.time is spent"), "enqueue", hidden=16)
    assert ends.answer == "no further trial is asked for: budget.time is spent"
    grid = standing(
        ("low: 1.0e-3, high: 1.0e-1, log: true", "choices: [0.01, 0.1]"),
        ("  momentum: {low: 0.5, high: 0.9, when: {optimizer: sgd}}\n", ""),
        ("budget:", "sampler: {name: grid}\nbudget:"),
    )
    assert asked(grid, "enqueue", hidden=16).answer.startswith("the grid sampler tries every point")


@pytest.mark.parametrize("verb", ["prune", "finish"])
def test_trials_that_do_not_run_end_no_more(verb: str) -> None:
    assert asked(standing(), verb, trial=2).answer.startswith("trial 2 ends as ")
    assert asked(standing(), verb, trial=9).answer == "no trial 9 (trials 0 to 3 exist)"
    ended = asked(standing(), verb, trial=0)
    assert ended.answer == "trial 0 has ended: COMPLETE. Name one of those that run: 2, 3"
    twice = asked(replace(standing(), steered=Steered(ends={2: "finish"})), verb, trial=2)
    assert twice.answer == "trial 2 is about to end already, by finish"
    assert asked(standing(live={}), verb, trial=1).answer == "trial 1 has ended: FAIL. None runs"
    assert not asked(standing(), verb, trial="2").accepted


def test_a_trial_without_a_report_has_no_value_to_end_with() -> None:
    assert asked(standing(), "finish", trial=3).answer == (
        "trial 3 has no report yet, so it has no value. Wait for one, or prune it"
    )


def test_what_is_not_there_is_not_paused_resumed_or_stopped() -> None:
    paused = Steered(paused=1.0)
    assert asked(standing(), "pause").accepted
    assert asked(standing(), "stop").accepted
    assert asked(standing(), "resume").answer == "is not paused. It runs"
    for verb in ("pause", "stop"):
        assert "does not run, so there is nothing to" in asked(standing(runs=False), verb).answer
    assert "run its own command" in asked(standing(runs=False), "resume").answer
    waiting = replace(standing(runs=False, waits=True), steered=paused)
    assert asked(waiting, "pause").answer.startswith("is paused already. Resume it: python -m sweep resume")
    assert asked(waiting, "resume").answer == "resumed"
    assert asked(waiting, "stop").accepted
    killed = replace(standing(runs=False), steered=paused)
    assert asked(killed, "resume").answer == "resumes, when the study is next run"
    ending = standing(runs=False, stops=True)
    for verb in ("pause", "stop"):
        assert asked(ending, verb).answer == "is about to end. Its own command resumes it"


def test_an_earlier_session_s_pause_and_stop_do_not_end_this_one() -> None:
    found = standing(began=1000.0)
    for verb in ("pause", "stop"):
        early, late = Request("1", verb, {}, time=999.0), Request("2", verb, {}, time=1001.0)
        assert decide(early, found).answer.startswith("was asked of a session that has ended since")
        assert decide(late, found).accepted
    assert decide(Request("1", "prune", {"trial": 2}, time=999.0), found).accepted


def test_points_of_the_study_file_wait_before_those_that_are_asked_for() -> None:
    points = ", ".join(f"{{hidden: {hidden}}}" for hidden in (16, 32, 48, 64, 16, 32))
    found = standing(("budget:", f"enqueue: [{points}]\nbudget:"))
    assert asked(found, "enqueue", hidden=16).answer == "is tried next, after 2 that wait"
    full = standing(("budget: {trials: 8}", f"enqueue: [{points}]\nbudget: {{trials: 6}}"))
    refused = asked(full, "enqueue", hidden=16)
    assert refused.answer.startswith("the budget of 6 trials is used, 2 by points that wait. Raise it first")
    assert refused.answer.endswith("budget.trials=7")


def test_a_budget_that_leaves_points_out_says_so() -> None:
    points = {"1": {"hidden": 16}, "2": {"hidden": 32}}
    found = replace(standing(), steered=Steered(points=points))
    for trials, end in {
        6: "8 -> 6",
        5: "; 1 points that wait are not tried",
        2: "; 2 points that wait are not tried",
    }.items():
        assert set_(found, budget__trials=str(trials)).answer.endswith(end)


def test_notes_and_tags_are_of_the_run_or_of_a_trial() -> None:
    assert asked(standing(), "note", text=" too high ").arguments == {"text": "too high"}
    assert asked(standing(), "note", text="fine", trial=0).arguments == {"text": "fine", "trial": 0}
    assert asked(standing(), "note", text=" ").answer.startswith("a note needs a text")
    assert asked(standing(), "note", text="a\x1b[2J\0\tb\n👩‍👧").arguments == {"text": "a[2J\tb\n👩‍👧"}
    assert asked(standing(), "note", text="fine", trial=7).answer == "no trial 7 (trials 0 to 3 exist)"
    assert asked(standing(), "tag", tag="two words").answer.startswith("the tag 'two words' is no word")
    assert asked(standing(), "tag", tag="base").arguments == {"tag": "base"}
    assert asked(standing(), "tag", tag="base", remove=True).answer == "the run has no tag base"
    assert asked(standing(saved={0}), "tag", tag="star", trial=0).answer == "its checkpoints are kept"
    assert "no checkpoint any more" in asked(standing(), "tag", tag="star", trial=0).answer


def test_what_cannot_be_read_is_refused_too() -> None:
    assert asked(standing(), "frobnicate").answer.startswith("there is no request frobnicate")
    assert asked(standing(), "prune").answer.startswith("cannot be read")
    assert not asked(replace(standing(), spec=None), "set", lanes=4).accepted
