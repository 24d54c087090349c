"""A whole study of the digits MLP, `lanes: auto` against `lanes: 1`: trials an hour, on the same slots.

Two figures a study: from start to end, and in the steady state, between the first and the last quarter of
its reports, where neither start-up nor the last trials count.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import analysis
from benchmarks.measure import Benchmark, Ratio, arguments, check, say

ROOT = Path(__file__).parent.parent

STUDY = """\
name: digits
task: {task}:Digits
objective: {{metric: validation_accuracy, direction: maximize}}
space:
  learning_rate: {{low: 1.0e-3, high: 1.0e-1, log: true}}
  accumulation_steps: {{choices: [1, 2, 4]}}
  weight_decay: {{low: 1.0e-6, high: 1.0e-1, log: true}}
  dropout: {{low: 0.0, high: 0.5}}
fixed: {{optimizer: adamw, precision: float32, hidden: 64, schedule: cosine}}
trial: {{micro_batch_size: 32, length: {{epochs: 20}}}}
sampler: {{name: random}}
budget: {{trials: {trials}}}
lanes: {lanes}
"""


def run(folder: Path, lanes: str, trials: int) -> dict[str, float]:
    """Run one study; seconds, trials an hour in all and in the steady state, and what the command said."""
    folder.mkdir()
    (folder / "task.py").write_text((ROOT / "examples" / "digits" / "task.py").read_text())
    (folder / "study.yaml").write_text(STUDY.format(task="task.py", trials=trials, lanes=lanes))
    command = [sys.executable, "-m", "sweep", "run", str(folder / "study.yaml"), "--json", "--quiet"]
    command += ["--runs", str(folder / "runs")]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout)
    return {
        "wall_s": found["wall_s"],
        "trials_per_hour": trials / found["wall_s"] * 3600,
        "steady_trials_per_hour": steady_trials_per_hour(folder / "runs" / "digits"),
        "lanes": found["lanes"],
        "traces": found["traces"],
        "lane_busy_fraction": found["lane_busy_fraction"],
    }


def steady_trials_per_hour(run_dir: Path) -> float:
    """From the reports between the first and the last quarter: their number, their time, 20 a trial."""
    times = analysis.load(run_dir).metrics.time.sort_values()
    quarter = len(times) // 4
    first, last = times.iloc[quarter], times.iloc[-quarter]
    seconds = float((last - first).total_seconds())
    return (len(times) - 2 * quarter) / 20 / seconds * 3600


def main() -> int:
    """Run the studies in turn and print both kinds."""
    options = arguments(__doc__ or "", least_rounds=2, trials=64, rounds=3)
    benchmark = Benchmark("a study of the digits MLP", ("mlx", "ray", "optuna", "numpy"))
    rows: dict[str, list[dict[str, float]]] = {"auto": [], "1": [], "1 again": []}
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(options.rounds):
            for kind in rows:
                say(f"round {number + 1} of {options.rounds}: lanes {kind}")
                folder = Path(temporary, f"{number}-{kind.replace(' ', '-')}")
                rows[kind].append(run(folder, kind.split()[0], options.trials))
                benchmark.enter({"lanes_asked": kind, "round": number, **rows[kind][-1]})
    for name, bound in (("trials_per_hour", 0.95), ("steady_trials_per_hour", 1.4)):
        one = [row[name] for row in rows["1"]]
        ratio = Ratio.of([auto[name] / each for auto, each in zip(rows["auto"], one, strict=True)])
        itself = Ratio.of([again[name] / each for again, each in zip(rows["1 again"], one, strict=True)])
        benchmark.enter({"lanes_asked": f"{name}: auto / 1", "round": str(ratio)})
        benchmark.enter({"lanes_asked": f"{name}: 1 / itself", "round": str(itself)})
        benchmark.checks.append(check(f"{name}, auto / 1", ratio.median, bound=bound, side="at least"))
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
