"""One parallel study in a fixed order, again and again: TPE with hyperband, random delays, kills on real Ray.

Every time it must be the study that it was the first time, which nobody killed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

import analysis
from sweep.api.compare import compare
from tests.chaos import harness
from tests.chaos.harness import OwnRayChaos, Study, deck, describe
from tests.chaos.tally import Tally

WORKERS = 4
TRIALS = 100

CHANGES = (
    ("sampler: {name: random}\n", "sampler: {name: tpe}\npruner: {name: hyperband}\norder: fixed\n"),
    ("budget: ", "trial: {length: {examples: 144}, report_every: {examples: 16}}\nbudget: "),
)

DELAYED = """\
import random
import time


def train(trial):
    x, step = 2.0, 0
    if trial.checkpoint is not None:
        x, step = trial.checkpoint["x"], trial.checkpoint["step"]
    while step < 9:
        step += 1
        x -= 10 * trial.params["learning_rate"] * x / trial.params["accumulation_steps"]
        trial.save(x=x, step=step)
        time.sleep(random.SystemRandom().uniform(0.0, 0.3))
        yield {"examples": 16 * step, "validation_loss": x * x}
"""


def made(path: Path, trials: int) -> Study:
    """The study, in a folder of its own."""
    study = Study(path, trials=trials, executor="ray", function=True, changes=CHANGES, slots=WORKERS)
    (path / "train.py").write_text(DELAYED)
    return study


def table(study: Study) -> tuple[object, object]:
    """What must be the same: trials by state, value and hyperparameters, and all that they reported."""
    run = analysis.load(study.run_dir)
    names = [name for name in run.trials.columns if name.startswith("params_")]
    trials = run.trials.sort_values("number")[["number", "state", "value", *names]]
    metrics = run.metrics.sort_values(["trial", "replicate", "examples"])
    reports = metrics[["trial", "replicate", "examples", "validation_loss"]]
    return trials.to_csv(index=False), reports.to_csv(index=False)


def main() -> int:
    """Repeat; 0 where all were equal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--kills", type=int, default=10, help="each time; default: %(default)s")
    parser.add_argument("--trials", type=int, default=TRIALS, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    told = parser.parse_args()
    tally, chance, equal = Tally(), random.Random(told.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        first = made(Path(folder, "first"), told.trials)
        description = describe(first)
        first.finish(description)
        expected = table(first)
        states = analysis.load(first.run_dir).trials.state.value_counts().to_dict()
        print(f"undisturbed, {WORKERS} workers: {states}", flush=True)
        for number in range(1, told.times + 1):
            again = made(Path(folder, f"again-{number}"), told.trials)
            chaos = OwnRayChaos(deck(harness.KINDS, told.kills, chance), chance, tally)
            chaos.run(again, description)
            (difference,) = compare([first.run_dir, again.run_dir]).first
            is_equal = difference is None and table(again) == expected
            equal += is_equal
            word = "equal" if is_equal else f"not equal: {difference}"
            print(f"{number}: {word}; {told.kills - len(chaos.kills)} kills", flush=True)
    print(f"{equal} of {told.times} equal; {tally}")
    return 0 if equal == told.times else 1


if __name__ == "__main__":
    sys.exit(main())
