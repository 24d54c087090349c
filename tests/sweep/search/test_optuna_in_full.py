"""Constraints, enqueued points, warm starts, stop rules and replicates, through study files."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

import analysis
from sweep.api.run import Summary, run_study
from sweep.driver.monitor.progress import Quiet
from sweep.driver.stopping import Stopping
from sweep.errors import SpecError
from sweep.rundir.history import read_history
from sweep.scheduler import Aim, Constraint, Limits
from sweep.search import terminators
from sweep.spec.parse import load, parse
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, TrialState
from tests.sweep.conftest import STUDY, Folder
from tests.sweep.world import World

SHORT = ("length: {epochs: 3}", "length: {epochs: 1}")


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("uncompiled")]


def run(folder: Folder, *changes: tuple[str, str]) -> Summary:
    folder.write(SHORT, *changes)
    return run_study(load(folder.study), runs=folder.runs, progress=Quiet())


def with_end(text: str) -> tuple[str, str]:
    return ("budget: {trials: 4}", text)


def optuna_study(run_dir: Path) -> optuna.Study:
    backend = optuna.storages.journal.JournalFileBackend(str(run_dir / "optuna.journal"))
    return optuna.load_study(study_name="line", storage=optuna.storages.JournalStorage(backend))


def test_constraints_keep_infeasible_trials_from_being_the_best(folder: Folder) -> None:
    free = run(folder, with_end("budget: {trials: 6}\nconstraints: {validation_loss: {min: 0.0}}"))
    values = analysis.load(folder.run_dir).trials.value.sort_values()
    floor = float(values.iloc[2])
    other = with_end(f"budget: {{trials: 6}}\nconstraints: {{validation_loss: {{min: {floor!r}}}}}")
    bound = run(folder, other, ("name: line", "name: bound"))
    trials = analysis.load(folder.runs / "bound").trials
    assert list(trials.feasible[trials.value < floor]) == [False, False]
    assert bound.top[0].value == floor
    assert free.top[0].value == float(values.iloc[0])
    backend = optuna.storages.journal.JournalFileBackend(str(folder.runs / "bound" / "optuna.journal"))
    theirs = optuna.load_study(study_name="bound", storage=optuna.storages.JournalStorage(backend))
    assert theirs.best_trial.value == floor
    assert set(theirs.best_trial.constraints) == {"validation_loss"}


def test_constraints_on_the_ledger_are_checked_when_a_trial_ends() -> None:
    limits = Limits(
        trials=1,
        objectives=(Aim("value"),),
        constraints=(Constraint("train_s", None, 2.0), Constraint("value", 0.0, 1.0)),
    )
    world = World.of(limits)
    world.join()
    world.work_all()
    outcome = world.told[0].outcome
    assert outcome.constraints["train_s"] == 1.0
    assert outcome.constraints["value"] < 0
    assert not outcome.feasible


def test_enqueued_points_are_tried_first_and_count(folder: Folder) -> None:
    points = "[{learning_rate: 0.02, accumulation_steps: 2}, {accumulation_steps: 1}]"
    summary = run(folder, with_end(f"budget: {{trials: 3}}\nenqueue: {points}"))
    assert summary.counts["COMPLETE"] == 3
    assert summary.params[0] == {"learning_rate": 0.02, "accumulation_steps": 2}
    assert summary.params[1]["accumulation_steps"] == 1
    assert len(optuna_study(folder.run_dir).trials) == 3


def test_enqueued_points_with_the_grid_must_be_whole() -> None:
    text = STUDY.replace("{name: random}", "{name: grid}").replace(
        "learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}", "learning_rate: {choices: [0.1, 0.2]}"
    )
    with pytest.raises(SpecError, match="Add accumulation_steps"):
        parse(text + "enqueue: [{learning_rate: 0.1}]\n", "study.yaml")


@pytest.mark.parametrize("sampler", ["{name: tpe, n_startup_trials: 2}", "{name: cmaes}", "{name: nsgaii}"])
def test_warm_start_shows_the_sampler_earlier_trials_and_does_not_count_them(
    folder: Folder, sampler: str
) -> None:
    run(folder)
    warm = (("name: line", "name: warm"), ("{name: random}", f"{sampler}\nwarm_start: runs/line"))
    summary = run(folder, *warm)
    assert summary.counts["COMPLETE"] == 4
    assert sorted(summary.params) == [4, 5, 6, 7], "the earlier trials have the numbers before"
    again = run(folder, *warm, with_end("budget: {trials: 5}"))
    assert again.counts["COMPLETE"] == 5
    backend = optuna.storages.journal.JournalFileBackend(str(folder.runs / "warm" / "optuna.journal"))
    theirs = optuna.load_study(study_name="warm", storage=optuna.storages.JournalStorage(backend)).trials
    assert [trial.user_attrs.get("warm_start_number") for trial in theirs] == [0, 1, 2, 3, *[None] * 5]


def test_warm_start_gives_cmaes_what_it_learns_from(folder: Folder) -> None:
    run(folder, with_end("budget: {trials: 12}"), ("lanes: 1", "lanes: 4"))
    warm = (("name: line", "name: warm"), ("{name: random}", "{name: cmaes}\nwarm_start: runs/line"))
    assert run(folder, *warm).counts["COMPLETE"] == 4


def stopping(stop: str, budget: str = "{trials: 99}") -> Stopping:
    return Stopping(parse(STUDY.replace("budget: {trials: 4}", f"budget: {budget}\nstop: {stop}"), "s.yaml"))


def ended(number: int, value: float, **more: dict[str, float]) -> Outcome:
    return Outcome(number, TrialState.COMPLETE, (value,), **more)  # type: ignore[arg-type]


def test_stop_rules_for_a_target_look_at_feasible_trials() -> None:
    rule = stopping("{target: 0.5}")
    rule.enter(ended(0, 0.4, constraints={"a": 1.0}))
    rule.enter(ended(1, 0.6))
    assert rule.reason(0.0) is None
    rule.enter(ended(2, 0.5))
    assert rule.reason(0.0) == "stop.target 0.5 is reached"


def test_stop_rules_for_patience_count_trials_since_the_best() -> None:
    rule = stopping("{patience: 2}")
    for number, value in enumerate((3.0, 4.0, 2.0, 2.5)):
        rule.enter(ended(number, value))
    rule.enter(Outcome(9, TrialState.FAIL))
    assert rule.reason(0.0) is None
    rule.enter(Outcome(10, TrialState.PRUNED, (2.0,)))
    assert "2 trials in a row" in (rule.reason(0.0) or "")


def test_stop_rules_for_time_count_all_sessions(folder: Folder) -> None:
    assert stopping("{}", "{time: 10s}").reason(9.0) is None
    assert stopping("{}", "{time: 10s}").reason(11.0) == "budget.time is spent"
    run(folder)
    first = read_history(folder.run_dir).elapsed_s
    run(folder, with_end("budget: {trials: 6}"))
    assert read_history(folder.run_dir).elapsed_s > first > 0


def test_a_study_stops_at_its_target_and_stays_stopped(folder: Folder) -> None:
    more = with_end("budget: {trials: 50}\nstop: {target: 1000.0}")
    summary = run(folder, more)
    assert 1 <= summary.counts["COMPLETE"] <= 3
    again = run(folder, more)
    assert again.counts == summary.counts


@pytest.mark.parametrize(
    "terminator",
    ["best_value_stagnation, max_stagnation_trials: 1, min_n_trials: 3", "emmr, min_n_trials: 4"],
)
def test_stop_by_one_of_optunas_terminators(folder: Folder, terminator: str) -> None:
    if "emmr" in terminator:
        pytest.importorskip("torch", reason="pip install 'sweep-mlx[samplers]'")
    stop = f"budget: {{trials: 12}}\nstop: {{terminator: {{name: {terminator}}}}}"
    summary = run(folder, with_end(stop))
    assert 3 <= summary.counts["COMPLETE"] <= 12


TERMINATORS = [
    ("{name: regret_bound}", "trial.replicates", "must be at least 2"),
    ("{name: best_value_stagnation, max_trials: 3}", "stop.terminator.max_trials", "max_stagnation_trials"),
    ("{name: best_value_stagnation, max_stagnation_trials: -1}", "stop.terminator", "must not be negative"),
]


@pytest.mark.parametrize(("text", "key", "words"), TERMINATORS)
def test_stop_by_a_wrong_terminator_is_named(
    text: str, key: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.spec.named.registry.find_spec", lambda name: name)
    spec: StudySpec = parse(STUDY + f"stop: {{terminator: {text}}}\n", "s.yaml")
    (problem,) = terminators.problems(spec)
    assert problem.key == key
    assert words in str(problem)


def test_replicates_keep_their_spread_and_each_ones_value(folder: Folder) -> None:
    run(
        folder, ("length: {epochs: 1}", "length: {epochs: 1}, replicates: 3"), with_end("budget: {trials: 2}")
    )
    loaded = analysis.load(folder.run_dir)
    each = loaded.metrics.groupby("trial").validation_loss
    assert list(each.count()) == [3, 3]
    assert loaded.trials.spread.to_numpy() == pytest.approx(each.std().to_numpy())
    (first, _) = optuna_study(folder.run_dir).trials
    assert len(first.user_attrs["replicates"][0]) == 3


def test_conditional_entries_may_be_nested_and_of_any_kind(folder: Folder) -> None:
    nested = """accumulation_steps: {choices: [1, 2]}
  a: {choices: [0, 0.5, true]}
  b: {low: 0, high: 8, step: 4, when: {a: [0.5, true]}}
  c: {low: 0.25, high: 1.0, step: 0.25, when: {b: {low: 4}, a: true}}
  d: {low: 1.0, high: 8.0, log: true, when: {c: {high: 0.5}}}"""
    line = (folder.path / "line.py").read_text()
    (folder.path / "line.py").write_text(
        line.replace(
            "def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:",
            "def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:\n        _ = hp.a",
        )
    )
    summary = run(folder, ("accumulation_steps: {choices: [1, 2]}", nested), with_end("budget: {trials: 12}"))
    assert summary.counts["COMPLETE"] == 12
    for values in summary.params.values():
        assert ("b" in values) == (values["a"] in (0.5, True) and values["a"] != 0)
        assert ("c" in values) == (values.get("b", 0) in (4, 8) and values["a"] is True)
        assert ("d" in values) == (values.get("c", 9) <= 0.5)  # type: ignore[operator]
