"""What trials in flight cost a model-based sampler: the digits study at equal trials, more and more at once.

TPE proposes from the results it has seen; with n trials in flight it has seen n fewer. Printed are the best
validation loss and the mean of the best five, over some seeds, for each number in flight.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import analysis
from benchmarks.measure import Benchmark, arguments, say

ROOT = Path(__file__).parent.parent
IN_FLIGHT = (1, 4, 8, 16, 32)

STUDY = """\
name: digits
seed: {seed}
task: task.py:Digits
objective: {{metric: validation_loss, direction: minimize}}
space:
  learning_rate: {{low: 1.0e-4, high: 1.0e-1, log: true}}
  accumulation_steps: {{choices: [1, 2, 4, 8]}}
  weight_decay: {{low: 1.0e-6, high: 1.0, log: true}}
  dropout: {{low: 0.0, high: 0.8}}
  warmup_fraction: {{low: 0.0, high: 0.5}}
fixed: {{optimizer: adamw, precision: float32, hidden: 64, schedule: cosine}}
trial: {{micro_batch_size: 32, length: {{epochs: 8}}, report_every: {{epochs: 8}}}}
sampler: {{name: {sampler}}}
budget: {{trials: {trials}}}
executor: inline
lanes: {in_flight}
max_concurrent: {in_flight}
"""


def values(folder: Path, *, seed: int, in_flight: int, trials: int, sampler: str) -> list[float]:
    """Run one study; its trials' values, best first."""
    folder.mkdir()
    (folder / "task.py").write_text((ROOT / "examples" / "digits" / "task.py").read_text())
    text = STUDY.format(seed=seed, in_flight=in_flight, trials=trials, sampler=sampler)
    (folder / "study.yaml").write_text(text)
    command = [sys.executable, "-m", "sweep", "run", str(folder / "study.yaml"), "--json", "--quiet"]
    command += ["--runs", str(folder / "runs")]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = analysis.load(json.loads(answer.stdout)["run_dir"]).trials.value
    return sorted(float(value) for value in found.dropna())


def main() -> int:
    """Run all studies and print a row for each number in flight."""
    options = arguments(__doc__ or "", trials=48, seeds=3)
    benchmark = Benchmark("trials in flight, TPE, digits", ("mlx", "optuna", "numpy"))
    kinds = [*(("tpe", count) for count in IN_FLIGHT), ("random", 8)]
    with tempfile.TemporaryDirectory() as temporary:
        for sampler, count in kinds:
            studies = []
            for seed in range(options.seeds):
                say(f"{sampler}, {count} in flight, seed {seed}")
                folder = Path(temporary, f"{sampler}-{count}-{seed}")
                studies.append(
                    values(folder, seed=seed, in_flight=count, trials=options.trials, sampler=sampler)
                )
            benchmark.enter(
                {
                    "sampler": sampler,
                    "in_flight": count,
                    "best": statistics.mean(study[0] for study in studies),
                    "mean_of_best_5": statistics.mean(statistics.mean(study[:5]) for study in studies),
                    "median": statistics.mean(statistics.median(study) for study in studies),
                }
            )
    return benchmark.finish(as_json=bool(options.json))


if __name__ == "__main__":
    sys.exit(main())
