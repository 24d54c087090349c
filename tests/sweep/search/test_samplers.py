"""Samplers from the study file: each runs to the end, wrong names and arguments are named with their line."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
import pytest

from sweep.api.run import Summary, run_study
from sweep.driver.monitor.progress import Quiet
from sweep.search import samplers
from sweep.spec.parse import load, parse
from sweep.spec.resolve import resolved_text
from sweep.spec.schema import StudySpec
from tests.sweep.conftest import STUDY, Folder

GRID = "learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}"


pytestmark = pytest.mark.usefixtures("uncompiled")


def with_sampler(text: str) -> StudySpec:
    return parse(STUDY.replace("{name: random}", text), "study.yaml")


def run(folder: Folder, sampler: str, *changes: tuple[str, str]) -> Summary:
    folder.write(("{name: random}", sampler), ("length: {epochs: 3}", "length: {epochs: 1}"), *changes)
    return run_study(load(folder.study), runs=folder.runs, progress=Quiet())


@pytest.mark.parametrize(
    "sampler",
    [
        "{name: tpe, multivariate: true, n_startup_trials: 2}",
        "{name: random}",
        "{name: qmc, qmc_type: halton}",
        "{name: cmaes, n_startup_trials: 1}",
        "{name: gp, n_startup_trials: 2}",
        "{name: nsgaii, population_size: 2, crossover: {name: optuna.samplers.nsgaii:UniformCrossover}}",
        "{name: nsgaiii, population_size: 2}",
        "{name: optuna.samplers:BruteForceSampler}",
    ],
)
@pytest.mark.slow
def test_each_sampler_runs_a_study_to_the_end(folder: Folder, sampler: str) -> None:
    name = sampler[1:].replace("}", ",").split(",")[0].removeprefix("name: ")
    for package in samplers.REGISTRY.entries[name].packages if name in samplers.REGISTRY.entries else ():
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'sweep-mlx[samplers]'")
    changes = [(GRID, "learning_rate: {choices: [0.01, 0.02, 0.05]}")] if "Brute" in sampler else []
    assert run(folder, sampler, *changes).counts["COMPLETE"] == 4


def test_the_grid_sampler_tries_every_point_once_and_then_has_nothing_further(folder: Folder) -> None:
    summary = run(
        folder,
        "{name: grid}",
        (GRID, "learning_rate: {low: 0.25, high: 0.75, step: 0.25}"),
        ("trials: 4", "trials: 99"),
    )
    assert summary.counts["COMPLETE"] == 6
    tried = {(row["learning_rate"], row["accumulation_steps"]) for row in summary.params.values()}
    assert tried == {(rate, steps) for rate in (0.25, 0.5, 0.75) for steps in (1, 2)}


def test_a_sampler_keeps_its_arguments_in_the_resolved_study() -> None:
    spec = with_sampler("{name: tpe, multivariate: null, gamma: null, n_startup_trials: 20}")
    assert parse(resolved_text(spec), "again.yaml") == spec
    assert spec.sampler.arguments == {"multivariate": None, "gamma": None, "n_startup_trials": 20}


WRONG = [
    ("{name: tpe, n_startup_trails: 2}", "n_startup_trails", "Did you mean `n_startup_trials`?"),
    ("{name: tpe, n_startup_trails: 2}", "n_startup_trails", "Known here: name, repeat, consider_prior"),
    ("{nam: tpe}", "nam", "Did you mean `name`?"),
    ("{name: tpe, n_startup_trials: many}", "n_startup_trials", "must be an integer"),
    ("{name: tpe, n_startup_trials: true}", "n_startup_trials", "must be an integer"),
    ("{name: tpe, multivariate: 1}", "multivariate", "must be true or false or null"),
    ("{name: random, seed: 3}", "seed", "The study's `seed` is used"),
    ("{name: tpe, constraints_func: f}", "constraints_func", "Write `constraints`"),
    ("{name: nsgaii, population_size: 1}", None, "greater than or equal to 2"),
    ("{name: qmc, qmc_type: sobl}", None, "sobl"),
    ("{name: nowhere.at_all:Sampler}", "name", "No module named 'nowhere'"),
    ("{name: optuna.samplers:TPESamplr}", "name", "optuna.samplers has no TPESamplr"),
    ("{name: optuna.pruners:MedianPruner}", "name", "no subclass of optuna's BaseSampler"),
    ("{name: qmc, independent_sampler: {name: optuna.samplers:X}}", "independent_sampler.name", "optuna"),
]


@pytest.mark.parametrize(("text", "key", "words"), WRONG)
def test_a_wrong_sampler_is_named_with_line_and_remedy(text: str, key: str | None, words: str) -> None:
    spec = with_sampler(text)
    (problem,) = samplers.problems(spec)
    assert problem.key == (f"sampler.{key}" if key else "sampler")
    assert problem.line == spec.document.line(("sampler",))
    assert words in str(problem)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.spec.named.registry.find_spec", lambda name: None)
    (problem,) = samplers.problems(with_sampler("{name: gp}"))
    assert "gp needs scipy and torch, not installed here" in str(problem)
    assert "pip install 'sweep-mlx[samplers]'" in str(problem)


@pytest.mark.parametrize("name", ["tpe", "random", "nsgaii", "nsgaiii", "cmaes"])
def test_seeding_proposals_follow_from_seed_number_and_history_alone(name: str) -> None:
    def proposals(restart_at: int) -> list[dict[str, Any]]:
        spec = with_sampler(f"{{name: {name}}}")
        sampler = samplers.make(spec)
        study = optuna.create_study(sampler=sampler)
        found = []
        for number in range(14):
            if number == restart_at:
                study.sampler = samplers.make(spec)
            samplers.reseed(study.sampler, spec.seed, number)
            trial = study.ask()
            value = trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1)
            study.tell(trial, value)
            found.append(trial.params)
        return found

    assert proposals(restart_at=12) == proposals(restart_at=99)


def test_a_sampler_of_ones_own_is_imported_by_name(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import optuna\nclass Mine(optuna.samplers.RandomSampler):\n    pass\n"
    Path(folder.path / "my_sampler.py").write_text(source)
    monkeypatch.syspath_prepend(folder.path)
    assert run(folder, "{name: my_sampler:Mine}").counts["COMPLETE"] == 4
