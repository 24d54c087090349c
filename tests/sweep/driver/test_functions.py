"""Functions as trials: reports, pruning, resuming, replicates, and one line for each thing that is wrong."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import analysis
import sweep
from sweep.api.run import Summary
from sweep.driver.monitor.progress import Quiet
from sweep.errors import SpecError, SweepError
from sweep.executors.inline import InlineExecutor
from sweep.vocabulary.turn import Turn
from tests.sweep.conftest import STUDIES
from tests.sweep.in_process import interrupted

STUDY = """\
name: study
seed: 3
task: functions.py:train
objective: {metric: loss, direction: minimize}
executor: inline
space: {learning_rate: {low: 0.01, high: 0.4, log: true}}
sampler: {name: random}
budget: {trials: 4}
"""


pytestmark = pytest.mark.usefixtures("described_here")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(STUDIES / "functions.py", tmp_path)
    return tmp_path


def run(*changes: tuple[str, str]) -> Summary:
    text = STUDY
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return sweep.run(text, progress=Quiet())


def test_a_generator_s_yields_are_reports(folder: Path) -> None:
    summary = run()
    assert summary.counts["COMPLETE"] == 4
    found = analysis.load(summary.run_dir)
    assert list(found.metrics[found.metrics.trial == 0].examples) == [100, 200, 300, 400, 500]
    rate = found.trials.set_index("number").params_learning_rate[0]
    expected = (2 * (1 - 2 * rate) ** 5) ** 2
    assert found.trials.set_index("number").value[0] == pytest.approx(expected)
    assert found.trials.ledger_examples.tolist() == [500] * 4


def test_a_function_that_returns_reports_once(folder: Path) -> None:
    table = analysis.load(run(("functions.py:train", "functions.py:value")).run_dir).trials
    assert table.value.tolist() == pytest.approx((table.params_learning_rate**2).tolist())


def test_a_function_that_returns_takes_one_turn_a_trial(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the first: how many reports it gives is not known before."""
    turns: list[Turn] = []
    submit = InlineExecutor.submit

    def counting(executor: InlineExecutor, slot: str, turn: Turn) -> None:
        turns.append(turn)
        submit(executor, slot, turn)

    monkeypatch.setattr(InlineExecutor, "submit", counting)
    run(("functions.py:train", "functions.py:value"))
    assert len(turns) == 4 + 1


def test_random_numbers_hang_on_the_study_s_seed_and_the_trial_alone(folder: Path) -> None:
    change = ("functions.py:train", "functions.py:random")
    first = analysis.load(run(change).run_dir).trials.value.tolist()
    again = analysis.load(run(change, ("name: study", "name: again")).run_dir).trials.value.tolist()
    other = run(change, ("name: study", "name: other"), ("seed: 3", "seed: 4"))
    assert first == again
    assert len({*first, *analysis.load(other.run_dir).trials.value}) == 8


def test_pruning_closes_the_generator(folder: Path) -> None:
    summary = run(("trials: 4", "trials: 20"), ("{name: random}", "{name: random}\npruner: {name: median}"))
    assert summary.counts["PRUNED"] > 0
    assert summary.counts["COMPLETE"] + summary.counts["PRUNED"] == 20
    found = analysis.load(summary.run_dir)
    pruned = found.trials[found.trials.state == "PRUNED"].number
    assert found.metrics[found.metrics.trial.isin(pruned)].groupby("trial").examples.max().max() < 500


def test_a_length_ends_trials_and_is_what_pruners_go_by(folder: Path) -> None:
    length = "trial: {length: {examples: 300}, report_every: {examples: 100}}\nsampler: {name: random}"
    summary = run(("sampler: {name: random}", length + "\npruner: {name: hyperband}"))
    assert analysis.load(summary.run_dir).metrics.examples.max() == 300
    with pytest.raises(SpecError, match="hyperband needs to know how long a trial can be"):
        run(("sampler: {name: random}", "sampler: {name: random}\npruner: {name: hyperband}"))


@pytest.mark.slow
def test_invariant_3_a_study_that_was_killed_resumes_from_what_its_functions_saved(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = analysis.load(run(("name: study", "name: whole")).run_dir)
    monkeypatch.setattr("sweep.worker.single.saved_folder.SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("sweep.worker.single.saved_folder.SAVE_SHARE", 0)
    for after in (3, 4, 4):
        interrupted(monkeypatch, after, run)
    summary = run()
    found = analysis.load(summary.run_dir)
    assert summary.counts["COMPLETE"] == 4
    assert found.trials.value.tolist() == whole.trials.value.tolist()
    columns = ["trial", "examples", "loss"]
    rows, others = (each.metrics[columns].sort_values(columns[:2]) for each in (found, whole))
    assert rows.to_numpy().tolist() == others.to_numpy().tolist()
    resumed = found.metrics[found.metrics.attempt > 0]
    assert len(resumed) > 0
    assert not found.metrics.duplicated(["trial", "examples"]).any()


def test_what_a_function_keeps_in_its_folder_is_there_where_it_resumes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.worker.single.saved_folder.SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("sweep.worker.single.saved_folder.SAVE_SHARE", 0)
    change = ("functions.py:train", "functions.py:files")
    interrupted(monkeypatch, 3, lambda: run(change))
    table = analysis.load(run(change).run_dir).metrics
    assert table.groupby("trial").loss.max().tolist() == [1.0, 0.0, 0.0, 0.0]
    assert table.groupby("trial").kept.max().tolist() == [3.0] * 4


def test_a_link_out_of_a_kept_folder_is_said_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (folder / "functions.py").open("a") as file:
        file.write(
            "\n\ndef linked(trial):\n"
            "    (trial.folder / 'data').symlink_to('/')\n"
            "    trial.save(rate=1.0)\n"
            "    return {'loss': 1.0}\n"
        )
    run(
        ("functions.py:train", "functions.py:linked"),
        ("trials: 4}", "trials: 1}\ncheckpoints: {keep_best: 1}"),
    )
    assert capsys.readouterr().err.count("trial 0: data is a link out of the trial's folder") == 1


def test_replicates_that_end_apart_count_together(folder: Path) -> None:
    replicates = ("budget: {trials: 4}", "budget: {trials: 2}\ntrial: {replicates: 3}")
    table = analysis.load(run(("functions.py:train", "functions.py:apart"), replicates).run_dir).trials
    assert table.value.tolist() == [1.0, 1.0]


FAULTS = {
    "no examples": "the function yielded loss without `examples`",
    "goes back": "`examples` is 8 after 9",
    "no metric": "objective loss is missing from the last report, which has other",
    "no report": "objective loss is missing: the trial ended without a report",
    "no number": "`loss` is str 'low', which is no number",
    "no dict": "the function yielded float",
    "raises": r"RuntimeError: in the middle \(functions.py, line \d+\)",
    "exits": r"SystemExit: 3 \(functions.py, line \d+\)",
    "column": "the metric lane has the name of a table's own column",
    "zero": "`examples` is 0",
}


MAY_PASS = ("raises", "exits")
"""Faults that the next try need not have."""


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_invariant_10_what_a_function_does_wrong_fails_its_trial_in_a_line(fault: str, folder: Path) -> None:
    fixed = ("budget: {trials: 4}", f"budget: {{trials: 2}}\nfixed: {{fault: {fault}}}")
    summary = run(("functions.py:train", "functions.py:faulty"), fixed)
    assert (summary.counts["FAIL"], summary.counts["COMPLETE"]) == (1, 1)
    table = analysis.load(summary.run_dir).trials.set_index("number")
    (reason,) = table.reason.dropna()
    assert re.match(FAULTS[fault], reason.splitlines()[0]), reason
    log = (summary.run_dir / "log.jsonl").read_text()
    assert ("is tried again" in log) == (fault in MAY_PASS)


def test_a_generator_that_ignores_being_closed_is_a_note(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    changes = (
        ("functions.py:train", "functions.py:faulty"),
        (
            "budget: {trials: 4}",
            "budget: {trials: 2}\nfixed: {fault: ignores closing}\ntrial: {length: {examples: 2}}",
        ),
    )
    summary = run(*changes)
    assert summary.counts["COMPLETE"] == 1
    messages = sweep.status(summary.run_dir).messages
    assert any(
        "trial 1 did not end when it was closed: RuntimeError: generator ignored" in each for each in messages
    )
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("many_arguments", r"task: many_arguments is called as many_arguments\(trial\): missing a required"),
        ("lower_case", "task: lower_case is a class, and a task's name begins with a capital letter"),
        ("later", "task: later is async. Write it as a plain function, with def alone"),
        ("later_pieces", "task: later_pieces is async"),
        ("later_bound", "task: later_bound is async"),
        ("later_part", "task: later_part is async"),
        ("later_called", "task: later_called is async"),
        ("trian", r"task: functions.py has no function trian \(did you mean train\?\)"),
    ],
)
def test_invariant_10_a_function_that_cannot_be_called_is_said_before_anything_runs(
    name: str, said: str, folder: Path
) -> None:
    with pytest.raises(SpecError, match=said):
        run(("functions.py:train", f"functions.py:{name}"))


@pytest.mark.parametrize("name", ["handed_on", "mapped", "short", "part", "called", "bound"])
def test_whatever_can_be_called_is_a_function(name: str, folder: Path) -> None:
    summary = run(("functions.py:train", f"functions.py:{name}"), ("trials: 4", "trials: 1"))
    assert summary.counts["COMPLETE"] == 1


def test_a_function_that_returns_a_coroutine(folder: Path) -> None:
    found = analysis.load(
        run(
            ("functions.py:train", "functions.py:awaitable"),
            ("budget: {trials: 4}", "budget: {trials: 1}\nfailures: {retry: 0}"),
        ).run_dir
    )
    assert found.trials.reason[0] == "the function is async. Write it as a plain function, with def alone"


@pytest.mark.slow
def test_a_function_that_returns_nothing(folder: Path) -> None:
    summary = run(("functions.py:train", "functions.py:nothing"))
    assert summary.counts["FAIL"] == 4
    assert "the function returned nothing" in analysis.load(summary.run_dir).trials.reason[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{length: {epochs: 3}}", "the length of a function is in examples"),
        ("{report_every: {updates: 3}}", "a function reports when it likes"),
    ],
)
def test_lengths_of_functions_are_in_examples(text: str, said: str, folder: Path) -> None:
    with pytest.raises(SpecError, match=said):
        run(("budget: {trials: 4}", f"budget: {{trials: 4}}\ntrial: {text}"))


def test_check_says_what_a_function_is(folder: Path) -> None:
    found = sweep.check(STUDY)
    assert "task: functions.py:train, a function\neach trial: until it returns" in found.as_text()
    assert (found.as_json()["examples"], found.as_json()["updates"]) == (None, {})


def test_a_plan_needs_to_know_how_long_a_function_trains(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"trial\.length: is missing: a plan needs to know"):
        sweep.plan(STUDY, trial_seconds=10)
    found = sweep.plan(STUDY + "trial: {length: {examples: 500}}\n", trial_seconds=10)
    assert (found.trials, round(found.makespan_s)) == (4, 40)


def test_a_run_of_functions_cannot_be_extended(folder: Path) -> None:
    summary = run(("trials: 4", "trials: 1"))
    with pytest.raises(SweepError, match=r"functions.py:train is a function, which decides itself how long"):
        sweep.extend(summary.run_dir, "900 examples")
    extends = ("seed: 3", f"seed: 3\nextends: {{run: {summary.run_dir}, trials: [0]}}")
    with pytest.raises(SpecError, match="extends: trials of a function cannot be extended"):
        run(extends, ("name: study", "name: longer"))
