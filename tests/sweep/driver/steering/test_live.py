"""Whole studies that are steered while they run, and killed at the moments that matter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import analysis
import sweep
from runlog.study import read_study
from sweep.api.run import run_study
from sweep.driver.driver import Driver
from sweep.driver.monitor.progress import Quiet
from sweep.driver.steering import channel
from sweep.driver.steering.waiting import Waiting
from sweep.errors import SweepError
from sweep.rundir.rundir import RunDir
from sweep.search.journal_check import read_journal
from sweep.spec.given import study_of
from sweep.spec.parse import load
from sweep.spec.schema import StudySpec
from tests.logs import records
from tests.sweep.conftest import STUDIES
from tests.sweep.in_process import Killed, kill_at

pytestmark = pytest.mark.usefixtures("described_here")

STUDY = """\
name: study
seed: 3
task: functions.py:train
objective: {metric: loss, direction: minimize}
executor: inline
space: {learning_rate: {low: 0.01, high: 0.4, log: true}}
sampler: {name: random}
checkpoints: {every: 0.01s, keep_best: 2}
budget: {trials: 4}
"""

Asking = list[tuple[int, str, dict[str, Any]]]
"""After so many reports, what is asked."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(STUDIES / "functions.py", tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


RUN = Path("runs/study")


def run() -> str:
    return run_study(load("study.yaml"), runs=Path("runs"), progress=Quiet()).reason


def steered(monkeypatch: pytest.MonkeyPatch, asking: Asking, go: Callable[[], Any] = run) -> Any:
    """Run, and ask at the steps after which so many reports were recorded."""
    step, left = Driver.step, list(asking)

    def stepping(self: Driver) -> None:
        self._steering._looked = float("-inf")
        step(self)
        while left and len(records(RUN, "report")) >= left[0][0]:
            _, verb, arguments = left.pop(0)
            channel.submit(RUN, verb, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Driver, "step", stepping)
        return go()


def answers() -> list[tuple[str, bool]]:
    return [(each["verb"], each["accepted"]) for each in records(RUN, "request")]


def table() -> dict[int, tuple[str, str | None]]:
    trials = analysis.load(RUN).trials
    reasons = trials.reason.where(trials.reason.notna(), None)
    return dict(zip(trials.number, zip(trials.state, reasons, strict=True), strict=True))


def told_in_optuna() -> list[str]:
    return [trial.state.name for trial in read_journal(RUN / "optuna.journal").trials]


def test_trials_are_ended_points_tried_and_the_budget_raised_while_a_study_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = steered(
        monkeypatch,
        [
            (2, "prune", {"trial": 0}),
            (4, "finish", {"trial": 1}),
            (5, "set", {"budget.trials": 6}),
            (5, "enqueue", {"learning_rate": 0.125}),
            (6, "prune", {"trial": 0}),
            (14, "set", {"budget.trials": 1}),
            (14, "set", {"seed": 4}),
        ],
    )
    assert reason == "finished"
    assert answers() == [
        ("prune", True), ("finish", True), ("set", True), ("enqueue", True), ("prune", False), ("set", False),
        ("set", False),
    ]  # fmt: skip
    found = table()
    assert len(found) == 6
    assert found[0] == ("PRUNED", "pruned by hand")
    assert found[1] == ("COMPLETE", "finished by hand")
    assert [state for state, _ in found.values()].count("COMPLETE") == 5
    assert told_in_optuna() == [state for state, _ in found.values()]
    trials = analysis.load(RUN).trials.set_index("number")
    assert trials.params_learning_rate.tolist().count(0.125) == 1
    last = [row for row in records(RUN, "report") if row["trial"] == 1][-1]
    assert trials.value[1] == last["metrics"]["loss"]
    finals = [each for each in records(RUN, "checkpoint") if each["trial"] == 1 and each["final"]]
    assert [each["examples"] for each in finals][-1] == last["examples"] < 500
    assert load(RUN / "study.yaml").budget.trials == 6
    assert not list((RUN / "requests").iterdir())
    said = capsys.readouterr().err
    assert "asked: prune 0: trial 0 ends as PRUNED" in said
    assert "asked: set budget.trials=1: refused: budget.trials=1 is below the" in said
    status = sweep.status(RUN)
    assert status.budget_trials == 6
    assert [each.verb for each in status.requests] == ["set", "enqueue", "prune", "set", "set"]


MOMENTS = [
    (RunDir, "record_known", 1, False),
    (RunDir, "record_known", 1, True),
    (RunDir, "record_known", 2, True),
    (RunDir, "record_known", 3, False),
    (RunDir, "record_known", 3, True),
    (channel, "remove", 1, False),
    (channel, "remove", 2, False),
    (channel, "remove", 3, True),
    (RunDir, "write_study", 2, False),
    (RunDir, "write_study", 2, True),
    (RunDir, "record_outcome", 1, False),
    (RunDir, "record_outcome", 1, True),
    (RunDir, "record_outcome", 2, True),
]
"""Where the driver dies between a request and what comes of it; the simulation tries all others."""


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda each: f"{each[1]}-{each[2]}-{each[3]}")
def test_no_request_is_lost_or_done_twice_when_the_driver_is_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, moment: tuple[Any, str, int, bool]
) -> None:
    owner, name, call, after = moment
    asking: Asking = [
        (2, "prune", {"trial": 0}),
        (2, "set", {"budget.trials": 5}),
        (2, "enqueue", {"learning_rate": 0.125}),
    ]

    def killed() -> None:
        with monkeypatch.context() as patch:
            kill_at(patch, owner, name, call, after=after)
            with pytest.raises(Killed):
                run()

    steered(monkeypatch, asking, killed)
    if len(records(RUN, "request")) + channel.count(RUN) < 3:  # killed before all was asked
        pytest.fail("the kill came before the requests")
    assert run() in ("finished", "finished before")
    assert answers() == [("prune", True), ("set", True), ("enqueue", True)]
    found = table()
    assert found[0] == ("PRUNED", "pruned by hand")
    assert len(found) == 5
    assert analysis.load(RUN).trials.params_learning_rate.tolist().count(0.125) == 1
    assert [each.get("enqueued") is not None for each in records(RUN, "asked")].count(True) == 1
    assert load(RUN / "study.yaml").budget.trials == 5
    assert told_in_optuna() == [state for state, _ in found.values()]
    assert channel.count(RUN) == 0
    assert read_study(RUN, on_damage=print).steered.points == {}


def test_what_was_set_holds_until_the_study_file_is_edited(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_the_end: list[int | None] = []

    def final(spec: StudySpec, *_: object) -> dict[int, object]:
        at_the_end.append(spec.budget.trials)
        return {}

    with monkeypatch.context() as patch:
        patch.setattr("sweep.api.run.record_final", final)
        steered(monkeypatch, [(2, "set", {"budget.trials": 5, "stop.target": 1e-30})])
    assert at_the_end == [5], "what happens at the end goes by what was set"
    assert len(table()) == 5
    capsys.readouterr()
    assert run() == "finished before"
    said = capsys.readouterr().err
    assert "budget.trials: 5, as it was set by hand on " in said
    assert "the study file has 4. Write it there, too\n" in said, "it cannot be undone: 5 trials have ended"
    (folder / "study.yaml").write_text(STUDY.replace("trials: 4", "trials: 5"))
    assert run() == "finished before"
    (folder / "study.yaml").write_text(STUDY)
    assert run() == "finished before"
    assert "budget.trials" not in capsys.readouterr().err, "the file said it, and was edited after that"
    sweep.set(RUN, {"budget.trials": 5})
    (folder / "study.yaml").write_text(STUDY.replace("trials: 4", "trials: 6"))
    assert run() == "finished"
    said = capsys.readouterr().err
    assert "budget.trials: 6, from the study file. It was set to 5 by hand on " in said
    assert " in place of 5; what was written last holds\n" in said
    assert len(table()) == 6
    (folder / "study.yaml").write_text(STUDY.replace("trials: 4", "trials: 7"))
    run()
    said = capsys.readouterr().err
    assert "budget.trials" not in said
    assert "stop.target: 1e-30, as it was set by hand" in said
    assert "Write it there, too, or undo it: python -m sweep set runs/study stop.target=null" in said


def test_a_number_of_trials_that_the_command_was_given_is_not_said_to_be_the_file_s(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def given(trials: int) -> str:
        spec = study_of("study.yaml", trials=trials)
        return run_study(spec, runs=Path("runs"), progress=Quiet()).reason

    steered(monkeypatch, [(2, "stop", {})], lambda: given(5))
    sweep.set(RUN, {"budget.trials": 6})
    assert given(5) == "finished"
    said = capsys.readouterr().err
    assert "budget.trials: 6, as it was set by hand on " in said
    assert "; --trials has 5. Pass --trials 6, or undo it: python -m sweep set runs/study budget" in said
    assert len(table()) == 6
    run()
    said = capsys.readouterr().err
    assert "budget.trials: 4, from the study file. It was set to 6 by hand on " in said
    assert "in place of 5" in said


def test_a_paused_study_waits_without_workers_and_survives_a_kill_as_paused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[str] = []
    answer_all = Waiting.answer_all

    def answering(self: Waiting) -> Any:
        waited.append(sweep.status(RUN).closed or "")
        if len(waited) == 1:
            raise Killed
        if len(waited) == 2:
            with pytest.raises(SweepError, match=r"is paused, and the process \d+ waits .* sweep resume"):
                run()
            channel.submit(RUN, "set", {"budget.trials": 5})
            channel.submit(RUN, "pause", {})
        if len(waited) == 3:
            channel.submit(RUN, "resume", {})
        return answer_all(self)

    monkeypatch.setattr(Waiting, "answer_all", answering)
    with pytest.raises(Killed):
        steered(monkeypatch, [(3, "pause", {})])
    assert waited == ["paused"]
    status = sweep.status(RUN)
    assert status.paused is not None
    assert "paused, and no process runs it; python -m sweep resume" in sweep_text(status)
    reports = len(records(RUN, "report"))
    assert run() == "finished"
    assert len(waited) >= 3
    assert answers() == [("pause", True), ("set", True), ("pause", False), ("resume", True)]
    assert len(table()) == 5
    said = capsys.readouterr().err
    assert "study: paused, its workers have ended. Resume it: python -m sweep resume" in said
    assert len({(row["trial"], row["examples"]) for row in records(RUN, "report")}) == len(
        records(RUN, "report")
    )
    assert reports < len(records(RUN, "report"))


def sweep_text(status: Any) -> str:
    from sweep.api.status import as_text

    return as_text(status)


def test_a_stopped_study_is_resumed_by_its_own_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert steered(monkeypatch, [(3, "stop", {})]) == "interrupted"
    assert sweep.status(RUN).closed == "interrupted"
    assert run() == "finished"
    assert len(table()) == 4
    assert answers() == [("stop", True)]


@pytest.mark.parametrize("asked_for", [["pause", "stop"], ["stop", "pause"], ["pause", "resume", "stop"]])
def test_a_stop_holds_whatever_else_is_asked_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, asked_for: list[str]
) -> None:
    assert steered(monkeypatch, [(3, verb, {}) for verb in asked_for]) == "interrupted"
    assert sweep.status(RUN).paused is None
    assert run() == "finished"
    assert ("stop", True) in answers()


def test_a_paused_study_that_is_stopped_is_paused_no_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_all = Waiting.answer_all

    def answering(self: Waiting) -> Any:
        channel.submit(RUN, "resume", {})
        channel.submit(RUN, "stop", {})
        return answer_all(self)

    with monkeypatch.context() as patch:
        patch.setattr(Waiting, "answer_all", answering)
        assert steered(monkeypatch, [(3, "pause", {})]) == "interrupted"
    assert answers() == [("pause", True), ("resume", True), ("stop", True)]
    assert run() == "finished"


def test_what_is_asked_while_a_session_ends_is_answered_before_its_process_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = RunDir.close

    def closing(self: RunDir, *arguments: Any, **named: Any) -> None:
        channel.submit(RUN, "note", {"text": "late"})
        channel.submit(RUN, "stop", {})
        close(self, *arguments, **named)

    monkeypatch.setattr(RunDir, "close", closing)
    assert run() == "finished"
    assert answers() == [("note", True), ("stop", False)]
    assert channel.count(RUN) == 0
    assert run() == "finished before"


def test_what_cannot_be_answered_is_asked_no_more(folder: Path) -> None:
    run()
    whole = (RUN / "study.yaml").read_text()
    (RUN / "study.yaml").write_text("name: [")
    for _ in range(2):
        with pytest.raises(SweepError, match=r"verify .* --repair"):
            sweep.note(RUN, "again")
    (RUN / "study.yaml").write_text(whole)
    sweep.note(RUN, "again")
    assert sweep.status(RUN).notes == ("again",)


def test_a_point_that_the_stopped_search_would_not_try_is_refused(folder: Path) -> None:
    (folder / "study.yaml").write_text(STUDY + "stop: {target: 5.0}\n")
    run()
    with pytest.raises(SweepError, match=r"no further trial is asked for: stop\.target 5 is reached"):
        sweep.enqueue(RUN, {"learning_rate": 0.125})


def test_a_run_that_does_not_train_takes_what_makes_sense_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steered(monkeypatch, [(8, "stop", {})])
    running = next(number for number, (state, _) in table().items() if state == "RUNNING")
    for refused in (sweep.pause, sweep.stop, sweep.resume):
        with pytest.raises(SweepError, match=r"runs/study: (does not run|is not paused)"):
            refused(RUN)
    pruned = sweep.prune(RUN, running)
    assert pruned.as_text() == (f"runs/study: trial {running} ends as PRUNED, when the study is next run")
    assert sweep.set(RUN, {"budget.trials": 5}).answered
    assert sweep.enqueue(RUN, {"learning_rate": 0.125}).answered
    with pytest.raises(SweepError, match="learning_rate: must be within space"):
        sweep.enqueue(RUN, {"learning_rate": 4.0})
    assert run() == "finished"
    assert table()[running] == ("PRUNED", "pruned by hand")
    assert len(table()) == 5
    assert 0.125 in analysis.load(RUN).trials.params_learning_rate.tolist()
    with pytest.raises(SweepError, match="the budget of 5 trials is used"):
        sweep.enqueue(RUN, {"learning_rate": 0.1})
    with pytest.raises(SweepError, match="is not a run directory"):
        sweep.prune("runs/none", 1)
    (RUN / ".fetched").write_text("mac-studio:~/.sweep/studies/study/runs/study\n")
    with pytest.raises(SweepError, match="is a copy of the run on mac-studio"):
        sweep.prune(RUN, 1)


def test_a_study_of_replicates_is_finished_where_all_of_them_stand(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "study.yaml").write_text(STUDY + "trial: {replicates: 2}\n")
    steered(monkeypatch, [(3, "finish", {"trial": 0}), (6, "finish", {"trial": 0})])
    found = table()
    assert {state for state, _ in found.values()} == {"COMPLETE"}
    accepted = [each for each in records(RUN, "request") if each["accepted"]]
    assert len(accepted) == 1
    assert found[0] == ("COMPLETE", "finished by hand")


def test_an_edited_space_leaves_out_points_that_are_not_in_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steered(monkeypatch, [(3, "stop", {})])
    sweep.enqueue(RUN, {"learning_rate": 0.3})
    (folder / "study.yaml").write_text(STUDY.replace("high: 0.4", "high: 0.2"))
    assert run() == "finished"
    said = "a point that was to be tried is not any more: learning_rate: must be within space.learning_rate"
    assert said in capsys.readouterr().err
    assert len(table()) == 4
    assert 0.3 not in analysis.load(RUN).trials.params_learning_rate.tolist()


def test_every_answer_is_json(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    asked = sweep.note(RUN, "fine")
    assert json.loads(json.dumps(asked.as_json())) == {
        "run": "runs/study", "id": asked.id, "verb": "note", "answered": True, "answer": "noted",
    }  # fmt: skip


def test_notes_and_tags_are_in_tables_and_a_starred_trial_keeps_its_checkpoints(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "study.yaml").write_text(STUDY.replace("keep_best: 2", "keep_best: 1"))
    steered(
        monkeypatch,
        [(2, "tag", {"trial": number, "tag": "star"}) for number in (0,)]
        + [(6, "note", {"text": "by hand", "trial": 1}), (6, "tag", {"tag": "baseline"})],
    )
    sweep.tag(RUN, "odd", trial=0)
    sweep.tag(RUN, "other")
    sweep.tag(RUN, "other", remove=True)
    sweep.note(RUN, "a first look")
    sweep.note(RUN, "and more", trial=1)
    found = analysis.load(RUN)
    trials = found.trials.set_index("number")
    assert trials.tags[0] == "star odd"
    assert trials.note[1] == "by hand; and more"
    best = trials.sort_values("value").index[0]
    assert set(found.checkpoints.trial) == {0, best}
    assert best != 0, "the starred trial must not be kept for its rank"
    shown = sweep.show(RUN, 1)
    assert "note: by hand\nnote: and more" in shown.as_text()
    status = sweep.status(RUN)
    assert (status.tags, status.notes) == (("baseline",), ("a first look",))
    assert [each.path.name for each in sweep.list_runs("runs", tag="baseline")] == ["study"]
    assert sweep.list_runs("runs", tag="other") == []
    sweep.remove(RUN, keep_best=0)
    assert set(analysis.load(RUN).checkpoints.trial) == {0}
    sweep.remove(RUN, trials=[0])
    assert analysis.load(RUN).checkpoints.empty
