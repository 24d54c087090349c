"""Trials that a program asks for and tells of: the same run directory, verdicts and resuming."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

import sweep
from sweep.api.python.asking.owner import Owner
from sweep.api.python.asking.study import Study
from sweep.api.python.asking.trial import Trial
from sweep.errors import RunDirError, SweepError
from tests.logs import records

KEYS: Any = {
    "name": "mine",
    "space": {"x": sweep.float(-1, 1)},
    "objective": "loss",
    "direction": "minimize",
    "budget": 4,
    "sampler": "random",
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def study(**changes: Any) -> Study:
    return sweep.Study(**{**KEYS, **changes})


def square(trial: Trial) -> float:
    x = trial.params["x"]
    assert isinstance(x, float)
    return x * x


def test_a_program_asks_and_tells_until_the_budget_is_used() -> None:
    with study() as mine:
        told = []
        while trial := mine.ask():
            told.append(mine.tell(trial, square(trial)))
        assert mine.best is not None
        assert told == ["COMPLETE"] * 4
    table = sweep.load("runs/mine").trials
    assert table.value.tolist() == (table.params_x**2).tolist()
    assert mine.best.value == table.value.min()
    assert "4 complete, finished" in mine._repr_html_()
    journal = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend("runs/mine/optuna.journal")
    )
    assert [each.value for each in optuna.load_study(study_name="mine", storage=journal).trials] == list(
        table.value
    )
    with study() as again:
        assert again.ask() is None


def test_a_proposal_is_made_when_it_is_asked_for_and_knows_all_that_was_told() -> None:
    with study(sampler="tpe", budget=30) as mine:
        for count in range(3):
            trial = mine.ask()
            assert trial is not None
            assert len(records(Path("runs/mine"), "asked")) == count + 1
            mine.tell(trial, square(trial))
            assert len(records(Path("runs/mine"), "asked")) == count + 1


def test_several_trials_are_held_at_once() -> None:
    with study() as mine:
        held = [mine.ask() for _ in range(5)]
        assert [each.number if each else None for each in held] == [0, 1, 2, 3, None]
        for trial in reversed(held[:4]):
            assert trial is not None
            mine.tell(trial, float(trial.number))
    assert sweep.load("runs/mine").trials.value.tolist() == [0, 1, 2, 3]


def test_pruning() -> None:
    with study(budget=12, pruner={"name": "median", "n_startup_trials": 2}) as mine:
        while trial := mine.ask():
            for step in range(1, 6):
                trial.report(10 * step, loss=square(trial) / step)
                if trial.should_prune():
                    break
            mine.tell(trial)
        counts = mine.summary.counts
    assert counts["PRUNED"] > 0
    assert counts["PRUNED"] + counts["COMPLETE"] == 12
    found = sweep.load("runs/mine")
    pruned = found.trials[found.trials.state == "PRUNED"].number
    assert found.metrics[found.metrics.trial.isin(pruned)].groupby("trial").examples.max().max() < 50


def test_what_was_not_told_is_asked_for_again_by_the_next_session() -> None:
    first = study()
    trials = [first.ask(), first.ask()]
    assert trials[0] is not None
    assert trials[1] is not None
    trials[1].report(10, loss=0.5)
    seeds = [trial.seed for trial in trials if trial is not None]
    first.close()
    first.close()
    with pytest.raises(SweepError, match=r"mine: is closed. Open it again with sweep.Study"):
        first.ask()
    with study() as second:
        again = [second.ask(), second.ask(), second.ask()]
        assert [trial.number for trial in again if trial is not None] == [0, 1, 2]
        assert [trial.seed for trial in again[:2] if trial is not None] == seeds
        assert again[1] is not None
        assert again[1].examples == 10
        again[1].report(5, loss=0.9)
        again[1].report(10, loss=0.4)  # what was recorded first counts
        with pytest.raises(SweepError, match=r"trial 1: `examples` is 10 after 10. Report more"):
            again[1].report(10, loss=0.4)
        second.tell(again[1], 0.25)
    assert sweep.load("runs/mine").metrics[["examples", "loss"]].values.tolist() == [[10, 0.5], [11, 0.25]]


def test_what_a_trial_saved_is_there_where_it_is_given_out_again(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"12")
    first = study()
    trial = first.ask()
    assert trial is not None
    assert trial.checkpoint is None
    trial.save(step=2, weights=np.arange(3.0))
    trial.save_file(tmp_path / "model.bin")
    (trial.folder / "notes.txt").write_text("seen")
    trial.report(10, loss=0.5)
    trial.save(step=3, weights=np.arange(3.0))
    trial.report(20, loss=0.5)  # too soon for a checkpoint of its own
    first.close()
    with study() as second:
        again = second.ask()
        assert again is not None
        assert again.checkpoint is not None
        assert (again.checkpoint["step"], again.checkpoint["weights"].tolist()) == (3, [0, 1, 2])
        assert again.checkpoint.files["model.bin"].read_bytes() == b"12"
        assert (again.folder / "notes.txt").read_text() == "seen"
        assert again.seed == trial.seed
        second.tell(again, 0.25)
        other = second.ask()
        assert other is not None
        second.tell(other, 0.5)
    (kept,) = sweep.load("runs/mine").checkpoints.to_dict("records")
    assert (kept["trial"], kept["examples"], kept["final"]) == (0, 21, True)


def test_what_was_saved_without_a_report_is_no_checkpoint() -> None:
    """A program that is interrupted between the two saves and reports again."""
    first = study()
    trial = first.ask()
    assert trial is not None
    for step in (1, 2):
        trial.save(step=step)
        if step == 1:
            trial.report(10, loss=0.5)
    first.close()
    with study() as second:
        again = second.ask()
        assert again is not None
        assert again.checkpoint == {"step": 1}


def test_a_disk_that_refuses_a_checkpoint_ends_no_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweep.worker.single.packed_folder.pack", refuse)
    with study() as mine:
        trial = mine.ask()
        assert trial is not None
        trial.save(step=1)
        trial.report(10, loss=0.5)
        assert mine.tell(trial) == "COMPLETE"
    said = "trial 0 was not saved: [Errno 28] No space left on device"
    assert capsys.readouterr().err.splitlines() == [said, said]


def test_how_trials_end() -> None:
    with study(budget=8) as mine:
        ends: dict[str, str] = {}
        for name in ("value", "same", "more", "failed", "nan", "metrics"):
            trial = mine.ask()
            assert trial is not None
            match name:
                case "value":
                    ends[name] = mine.tell(trial, 1.0)
                case "same":
                    trial.report(5, loss=1.0, accuracy=0.5)
                    ends[name] = mine.tell(trial, 1.0)
                case "more":
                    trial.report(5, loss=1.0)
                    ends[name] = mine.tell(trial, 0.5)
                case "failed":
                    ends[name] = mine.tell(trial, failed="the kiln was cold")
                case "nan":
                    ends[name] = mine.tell(trial, float("nan"))
                case "metrics":
                    ends[name] = mine.tell(trial, {"loss": 2.0, "accuracy": 0.25})
    done = ("value", "same", "more", "metrics")
    assert ends == {name: "COMPLETE" if name in done else "FAIL" for name in ends}
    found = sweep.load("runs/mine")
    assert found.trials.value.dropna().tolist() == [1.0, 1.0, 0.5, 2.0]
    assert found.trials.reason.dropna().tolist() == [
        "the kiln was cold",
        "objective loss is NaN in the last report",
    ]
    assert len(found.metrics) == 6


def test_a_value_is_read_as_a_number_before_it_is_compared() -> None:
    with study() as mine:
        values: list[Any] = [np.array([1.0]), float("nan"), np.float32(0.5)]
        for value in values:
            trial = mine.ask()
            assert trial is not None
            trial.report(5, loss=value)
            with pytest.raises(SweepError, match=r"`loss` is ndarray .*, which is no number"):
                mine.tell(trial, np.arange(2))  # type: ignore[arg-type]
            mine.tell(trial, float("nan") if value != value else value)
    assert sweep.load("runs/mine").metrics.examples.tolist() == [5, 5, 5], "no value was told twice"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"executor": "inline"}, "mine: this program trains the trials. Remove `executor`"),
        ({"trial": {"replicates": 2}}, r"mine: each trial is asked for once. Remove `trial.replicates`"),
        (
            {"order": "fixed"},
            "mine: the program decides when it asks and tells, so the order cannot be fixed",
        ),
        ({"space": {"x": {"low": 1}}}, r"space\.x"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SweepError, match=said):
        study(**changes)


@pytest.mark.slow
def test_a_value_that_is_no_number_and_a_trial_that_was_told() -> None:
    with study() as mine:
        trial = mine.ask()
        assert trial is not None
        with pytest.raises(SweepError, match="trial 0: `loss` is str 'low', which is no number"):
            mine.tell(trial, "low")  # type: ignore[arg-type]
        assert mine.tell(trial, 1.0) == "COMPLETE"
        with pytest.raises(SweepError, match=r"trial 0 was told before. Ask for another one"):
            mine.tell(trial, 1.0)
        with pytest.raises(RunDirError, match=r"is open in this process already. End that first: close\(\)"):
            study()


@pytest.mark.parametrize("value", [None, {"los": 1.0}])
def test_a_trial_that_is_told_without_its_objective_stays_held(value: Any) -> None:
    with study() as mine:
        trial = mine.ask()
        assert trial is not None
        with pytest.raises(
            SweepError, match=r"trial 0: loss is missing. Give its value, tell\(trial, value\)"
        ):
            mine.tell(trial, value)
        assert mine.tell(trial, 1.0) == "COMPLETE"


def test_a_trial_of_another_study_is_refused() -> None:
    with study() as mine, study(name="other") as other:
        own, foreign = mine.ask(), other.ask()
        for wrong in (foreign, None):
            with pytest.raises(SweepError, match="mine: this trial is not its own"):
                mine.tell(wrong, -999.0)  # type: ignore[arg-type]
        assert own is not None
        assert mine.tell(own, 0.5) == "COMPLETE"
        assert mine.best is not None
        assert mine.best.value == 0.5


def test_a_value_may_come_after_the_last_report_of_a_trial_of_known_length() -> None:
    with study(trial={"length": {"examples": 2}, "report_every": {"examples": 1}}) as mine:
        trial = mine.ask()
        assert trial is not None
        trial.report(1, loss=1.0)
        assert mine.tell(trial, 0.25) == "COMPLETE"
        assert mine.best is not None
        assert mine.best.value == 0.25


def test_no_command_can_train_these_trials(described_here: None) -> None:
    study().close()
    with pytest.raises(SweepError, match=r"asked for by a Python program. Run that program again"):
        sweep.run("runs/mine/study.yaml")


def test_a_program_may_edit_the_space_and_keeps_the_trial_that_it_held() -> None:
    with study() as mine:
        trial = mine.ask()
        assert trial is not None
        mine.tell(trial, square(trial))
        held = mine.ask()
        assert held is not None
    edited: Any = {"space": {"x": sweep.float(-2.0, 2.0), "y": sweep.float(0.0, 1.0)}, "earlier": {"y": 0.0}}
    with pytest.raises(RunDirError, match=r"space\.y: is new\. Write earlier: {y: VALUE}"):
        study(**{**edited, "earlier": {}})
    with study(**edited) as again:
        other = again.ask()
        assert other is not None
        assert (other.number, other.params) == (held.number, held.params)
        again.tell(other, square(other))
        while new := again.ask():
            assert set(new.params) == {"x", "y"}
            again.tell(new, square(new))
    table = sweep.load("runs/mine").trials
    assert table.state.tolist() == ["COMPLETE"] * 4
    assert table.params_y.isna().tolist() == [True, True, False, False]


def test_a_program_that_is_interrupted_while_optuna_proposes_loses_nothing() -> None:
    with study() as mine:
        owner = mine._desk
        assert isinstance(owner, Owner)
        trials = owner._driver._trials
        propose = trials.ask

        def interrupted(count: int) -> Any:
            found = propose(count)
            signal.raise_signal(signal.SIGINT)
            return found

        trials.ask = interrupted  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            mine.ask()
        trials.ask = propose  # type: ignore[method-assign]
        told = []
        while trial := mine.ask():
            told.append(trial.number)
            mine.tell(trial, square(trial))
        assert told == [0, 1, 2, 3]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert [each["trial"] for each in records(Path("runs/mine"), "told")] == told
