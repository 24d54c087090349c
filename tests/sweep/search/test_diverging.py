"""A trial that diverges teaches the sampler; one that breaks does not."""

from __future__ import annotations

import math
from typing import Literal

import optuna
import pytest

import analysis
from runlog.study import read_study
from sweep.api.run import run_study
from sweep.api.status import as_text, read_status
from sweep.driver.monitor.progress import Quiet
from sweep.search.study import Study
from sweep.spec.parse import load
from sweep.vocabulary.trial import Length, Outcome, TrialState
from tests.sweep.conftest import Folder
from tests.sweep.search.specs import with_sampler
from tests.sweep.spec.minimal import spec_of

Option = Literal["worst", "pruned", "failed"]
BASIN = ("learning_rate: {low: 1.0e-3, high: 1.0e2, log: true}", "optimizer: {choices: [sgd, adamw, lion]}")


BEST = {"sgd": 0.5, "adamw": 0.01, "lion": 0.003}
"""The best learning rate of each; sgd diverges at twenty times its own."""


def diverged(sampler: str, option: Option, seed: int, trials: int = 60) -> tuple[int, float]:
    """How many trials diverged, and the best value of the others."""
    spec = with_sampler(spec_of(*BASIN), sampler).model_copy(update={"diverged": option, "seed": seed})
    study = Study(spec, None, Length(100, 10))
    count, best = 0, math.inf
    for number in range(trials):
        (proposal,) = study.ask(1)
        optimizer = str(proposal.params["optimizer"])
        ratio = float(str(proposal.params["learning_rate"])) / BEST[optimizer]
        if ratio > 20 and optimizer == "sgd":
            count += 1
            study.tell(Outcome(number, TrialState.FAIL, reason="not finite", diverged=True))
        else:
            value = (
                3.0
                if ratio > 20
                else abs(math.log10(ratio)) + {"sgd": 0.0, "adamw": 0.2, "lion": 0.3}[optimizer]
            )
            best = min(best, value)
            study.tell(Outcome(number, TrialState.COMPLETE, (-value,)))  # the study maximizes
    return count, best


@pytest.mark.slow
def test_told_as_the_worst_few_diverge_and_told_as_failed_many() -> None:
    worst, chance = ([diverged(sampler, "worst", seed) for seed in range(5)] for sampler in ("tpe", "random"))
    assert diverged("tpe", "pruned", 0) == worst[0]
    assert all(count <= 15 for count, _ in worst)
    failed, _ = diverged("tpe", "failed", 1)
    assert failed > 3 * worst[1][0]
    assert sum(value for _, value in worst) < sum(value for _, value in chance)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "state", "value"),
    [("worst", "COMPLETE", math.inf), ("pruned", "PRUNED", None), ("failed", "FAIL", None)],
)
def test_tables_and_status_say_what_diverged_and_optuna_is_told(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, option: str, state: str, value: float | None
) -> None:
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    folder.write(
        (
            "learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}",
            "learning_rate: {choices: [0.01, 1.0e+30]}",
        ),
        ("{name: random}", f"{{name: grid}}\ndiverged: {option}"),
    )
    summary = run_study(load(folder.study), runs=folder.runs, progress=Quiet())
    assert (summary.counts["COMPLETE"], summary.counts["FAIL"], summary.diverged) == (2, 2, 2)
    table = analysis.load(folder.run_dir).trials
    blown_up = table[table.params_learning_rate.astype(float) > 1]
    assert list(blown_up.state) == ["FAIL", "FAIL"]
    assert list(blown_up.diverged) == [True, True]
    assert blown_up.reason.str.contains("not finite").all()
    assert "2 fail (2 diverged)" in as_text(read_status(folder.run_dir))
    backend = optuna.storages.journal.JournalFileBackend(str(folder.run_dir / "optuna.journal"))
    study = optuna.load_study(study_name="line", storage=optuna.storages.JournalStorage(backend))
    theirs = {trial.number: (trial.state.name, trial.values and trial.values[0]) for trial in study.trials}
    assert {theirs[number] for number in blown_up.index} == {(state, value)}
    (folder.run_dir / "optuna.journal").unlink()
    again = run_study(load(folder.study), runs=folder.runs, progress=Quiet())
    assert again.diverged == 2
    assert [row.diverged for row in read_study(folder.run_dir, on_damage=print).trials.values()].count(
        True
    ) == 2


def test_a_resumed_study_knows_what_diverged(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("resumed") / "journal"
    spec = spec_of(*BASIN)
    study = Study(spec, path, Length(100, 10))
    (proposal,) = study.ask(1)
    study.tell(Outcome(proposal.number, TrialState.FAIL, reason="the loss", diverged=True))
    study.storage.commit()
    study.storage.close()
    again = Study(spec, path, Length(100, 10))
    told = again.storage.told()
    again.storage.close()
    assert told == {0: Outcome(0, TrialState.FAIL, reason="the loss", diverged=True)}
