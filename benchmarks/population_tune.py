"""Ray Tune's PopulationBasedTraining over a task of ours: each member is an actor with one lane.

A class with `save_checkpoint`, `load_checkpoint` and `reset_config`, so that actors are reused. One member a
core: with all members at once, each on its share of a core, it takes longer here.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import random
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure

ROOT = Path(__file__).resolve().parents[1]


def is_there() -> bool:
    """Whether Ray Tune can be imported: its `Trainable` needs tensorboardX."""
    return importlib.util.find_spec("tensorboardX") is not None


@dataclass(frozen=True)
class Settings:
    """A population: what is trained, its constants, one searched rate, and how members are decided on."""

    folder: str
    target: str
    fixed: Mapping[str, Any]
    metric: str
    rate: tuple[float, float]
    members: int
    intervals: int
    examples: int
    quantile: float
    perturb: float
    resample: float


@dataclass(frozen=True)
class Found:
    """When each member reported, and the best value in the end."""

    reports: list[tuple[int, float]]
    best: float


def run(settings: Settings, *, seed: int) -> Found:
    """Train one population to its end."""
    import ray
    from ray import tune
    from ray.tune.schedulers import PopulationBasedTraining

    reports: list[tuple[int, float]] = []
    members: dict[str, int] = {}

    class Times(tune.Callback):
        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **_: Any) -> None:
            reports.append((members.setdefault(trial.trial_id, len(members)), time.time()))

    random.seed(seed)
    np.random.seed(seed)
    os.environ["PYTHONPATH"] = str(ROOT)
    ray.init(
        address="local",
        num_cpus=os.cpu_count(),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    low, high = settings.rate
    rates = tune.loguniform(low, high)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(Member, settings=settings, seed=seed), {"cpu": 1}),
            param_space={"learning_rate": rates},
            tune_config=tune.TuneConfig(
                num_samples=settings.members,
                reuse_actors=True,
                scheduler=PopulationBasedTraining(
                    time_attr="training_iteration",
                    metric=settings.metric,
                    mode="min",
                    perturbation_interval=1,
                    hyperparam_mutations={"learning_rate": rates},
                    quantile_fraction=settings.quantile,
                    resample_probability=settings.resample,
                    perturbation_factors=(settings.perturb, 1 / settings.perturb),
                    custom_explore_fn=lambda config: {
                        **config,
                        "learning_rate": min(max(config["learning_rate"], low), high),
                    },
                ),
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                stop={"training_iteration": settings.intervals},
                callbacks=[Times()],
                verbose=0,
            ),
        )
        with measure.silent():
            results = tuner.fit()
        assert not results.num_errors, "every member must end well"
        ends = [results[place].metrics for place in range(len(results))]
        best = min(float(each[settings.metric]) for each in ends if each is not None)
    ray.shutdown()
    return Found(reports, best)


if is_there():
    from ray.tune import Trainable

    class Member(Trainable):
        """A lane of the task; a step is one interval."""

        def setup(self, config: dict[str, Any], settings: Settings, seed: int) -> None:  # type: ignore[override]
            import train_core
            from sweep.vocabulary.turn import TaskRef
            from sweep.worker.task_loading import load_task

            self._config, self._settings, self._seed = config, settings, seed
            task = load_task(TaskRef(settings.folder, settings.target))
            static, _ = train_core.split_for(task, self._hyperparameters())
            self._population = train_core.Population(train_core.Program(task, static), 1)
            self._length = train_core.Length(settings.examples * settings.intervals, settings.examples)
            self._begin()

        def _begin(self) -> None:
            from train_core import keys

            key = keys.fold_in(keys.key(self._seed), random.SystemRandom().getrandbits(31))
            self._population.load(0, key=key, hyperparameters=self._hyperparameters(), length=self._length)

        def _hyperparameters(self) -> dict[str, Any]:
            return {**self._settings.fixed, "learning_rate": self._config["learning_rate"]}

        def step(self) -> dict[str, Any]:
            (report,) = self._population.advance().reports
            return dict(report.metrics)

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            import train_core

            train_core.save(Path(checkpoint_dir, "state.safetensors"), self._population.snapshot(0))

        def load_checkpoint(self, checkpoint: Any) -> None:
            import train_core

            snapshot = train_core.load(Path(checkpoint, "state.safetensors"))
            self._population.unload(0)
            self._population.restore(
                0, snapshot, hyperparameters=self._hyperparameters(), length=self._length
            )

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._config = new_config  # of another member, whose checkpoint comes next if it has one
            self._population.unload(0)
            self._begin()
            return True
