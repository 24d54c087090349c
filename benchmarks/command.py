"""What a trial of a command costs beyond its process: a study of a one-line script, beside its start alone.

In turn: the script started so many times, one after another, and a study of as many trials of it, from its
first report to its last. `executor: inline`, so that one trial follows another there too.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import analysis
import sweep
from benchmarks import measure
from sweep.driver.monitor.progress import Quiet

BOUND_MS = 30.0
SCRIPT = """print('{"examples": 1, "loss": 0.5}')\n"""


def alone(script: Path, trials: int) -> float:
    """Milliseconds a start, the script's output read as a worker reads it."""
    began = time.perf_counter()
    for _ in range(trials):
        subprocess.run([sys.executable, str(script)], capture_output=True, check=True)
    return (time.perf_counter() - began) / trials * 1000


def in_a_study(script: Path, trials: int, name: str) -> float:
    """Milliseconds a trial, without what a study takes to begin and to end."""
    study = {
        "name": name,
        "command": [sys.executable, str(script)],
        "objective": {"metric": "loss", "direction": "minimize"},
        "space": {"x": {"low": 0.0, "high": 1.0}},
        "sampler": {"name": "random"},
        "executor": "inline",
        "budget": {"trials": trials + 1},
    }
    summary = sweep.run(study, runs=script.parent / "runs", progress=Quiet())
    times = analysis.load(summary.run_dir).metrics.time
    return float((times.max() - times.min()).total_seconds()) / trials * 1000


def main() -> int:
    """Measure, print, judge."""
    told = measure.arguments(__doc__ or "", least_rounds=2, rounds=5, trials=40)
    result = measure.Benchmark("A trial of a command beside its process alone", packages=("optuna",))
    extras = []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "one.py"
        script.write_text(SCRIPT)
        for number in range(-1, told.rounds):
            own_ms, again_ms = alone(script, told.trials), alone(script, told.trials)
            trial_ms = in_a_study(script, told.trials, f"round{number}")
            if number < 0:  # what is imported first is no trial's cost
                continue
            extras.append(trial_ms - own_ms)
            result.enter(
                {
                    "round": number,
                    "process_ms": own_ms,
                    "process_again_ms": again_ms,
                    "trial_ms": trial_ms,
                    "extra_ms": extras[-1],
                }
            )
    result.checks.append(
        measure.check("a trial beyond its process, ms", statistics.median(extras), bound=BOUND_MS)
    )
    return result.finish(as_json=told.json)


if __name__ == "__main__":
    sys.exit(main())
