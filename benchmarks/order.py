"""What `order: fixed` costs: trials an hour of simulated workers, in a fixed order against a free one.

In a free order quick trials are compared first, with few, and so kept more often; in a fixed one that is true
of quick and slow ones alike. So trials an hour differ where workers train as much, too: each has its column.
"""

from __future__ import annotations

import random
import sys
from statistics import median

from benchmarks import measure
from sweep.driver.build import study_in_memory
from sweep.driver.driver import Driver
from sweep.driver.monitor.progress import Quiet
from sweep.executors.simulated import SimulatedExecutor, World
from sweep.rundir.null import NullRunDir
from sweep.spec.order import lag_of
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import RunId

NODES = 4
REPORTS = 27
BOUND = 0.85
ENOUGH = 100
"""With fewer trials the first ones, which are compared with few, weigh more than the order."""

STUDY = """\
name: order
task: task.py:Task
objective: {{metric: loss, direction: minimize}}
space: {{learning_rate: {{low: 1.0e-4, high: 1.0e-1, log: true}}}}
trial: {{micro_batch_size: 1, length: {{examples: 27}}, report_every: {{examples: 1}}}}
sampler: {{name: tpe}}
pruner: {{name: {pruner}}}
order: {order}
lanes: 1
budget: {{trials: {trials}}}
"""

DESCRIPTION = Description(
    static=(), switches=(), dynamic=("learning_rate",), metrics=("loss",), train_examples=27,
    validation_examples=1, device="cpu", chip="simulated", memory_bytes=1 << 33, vmap_incompatibility=None,
)  # fmt: skip

PRUNERS = ("none", "median", "hyperband", "successive_halving")


def main() -> int:
    """Lead each study in both orders, several times; trials take from half the usual time to twice."""
    options = measure.arguments("a fixed order against a free one", rounds=8)
    benchmark = measure.Benchmark("A fixed order against a free one, 4 workers", packages=("optuna",))
    for trials in (40, 100, 300):
        for pruner in PRUNERS:
            ratios, busy, lag = [], [], 0
            for seed in range(options.rounds):
                free, fixed = (
                    parse(STUDY.format(pruner=pruner, order=order, trials=trials), "study.yaml")
                    for order in ("free", "fixed")
                )
                lag = lag_of(fixed) or 0
                (free_h, free_busy), (fixed_h, fixed_busy) = (used(spec, seed) for spec in (free, fixed))
                ratios.append(free_h / fixed_h)
                busy.append(fixed_busy / free_busy)
            benchmark.enter(
                {
                    "trials": trials,
                    "pruner": pruner,
                    "lag": lag,
                    "of the free order's trials an hour": round(median(ratios), 3),
                    "of its training an hour": round(median(busy), 3),
                }
            )
            if pruner == "none" or (pruner == "hyperband" and trials >= ENOUGH):
                name = f"{pruner}, {trials} trials: share of the free order's trials an hour"
                benchmark.checks.append(measure.check(name, median(ratios), bound=BOUND, side="at least"))
    return benchmark.finish(as_json=options.json)


def used(spec: StudySpec, seed: int) -> tuple[float, float]:
    """How long the study takes on simulated workers, and how much of that they train, by their own clock."""
    executor = SimulatedExecutor(
        World(
            nodes=NODES,
            run_s=lambda run: 3600 * 2 ** random.Random(f"{seed} {run.trial}").uniform(-1, 1),
            value=lambda run, done: curve(run, done, seed),
            metrics=("loss",),
        )
    )
    driver = Driver(
        spec=spec,
        description=DESCRIPTION,
        run=NullRunDir(),
        study=study_in_memory(spec, DESCRIPTION),
        executor=executor,
        progress=Quiet(),
        clock=executor.clock,
    )
    told = driver.run().told.values()
    executor.close()
    trained_s = sum(float(outcome.ledger.get("train_s", 0.0)) for outcome in told)
    return executor.now, trained_s / executor.now


def curve(run: RunId, done: float, seed: int) -> float:
    """A loss that tells trials apart early, but not surely."""
    chance = random.Random(f"{seed} {run.trial} {done:.3f}")
    return random.Random(f"{seed} {run.trial}").random() + 0.3 * (1 - done) * chance.gauss(0, 1)


if __name__ == "__main__":
    sys.exit(main())
