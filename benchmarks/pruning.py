"""What each sampler and pruner finds on the digits study with equal trials, and for how many examples."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from benchmarks import measure
from sweep.api.run import run_study
from sweep.driver.monitor.progress import Quiet
from sweep.errors import SpecError
from sweep.spec.parse import parse

ROOT = Path(__file__).resolve().parents[1]
TRIALS = 24

STUDY = """\
name: {name}
task: task.py:Digits
objective: {{metric: validation_accuracy, direction: maximize}}
executor: inline
lanes: 8
space:
  learning_rate: {{low: 1.0e-3, high: 1.0e-1, log: true}}
  weight_decay: {{low: 1.0e-6, high: 1.0e-1, log: true}}
  dropout: {rate}
fixed: {{optimizer: adamw, precision: float32, hidden: 64, schedule: cosine, warmup_fraction: 0.1}}
trial: {{micro_batch_size: 32, length: {{epochs: 18}}, replicates: {replicates}}}
sampler: {sampler}
pruner: {pruner}
budget: {{trials: {trials}}}
checkpoints: {{keep_best: 0}}
"""
SAMPLERS = ("tpe", "random", "qmc", "cmaes", "gp", "nsgaii", "nsgaiii", "grid")
PRUNERS = {
    "none": "{name: none}",
    "median": "{name: median}",
    "percentile": "{name: percentile, percentile: 25.0}",
    "successive_halving": "{name: successive_halving, reduction_factor: 3}",
    "hyperband": "{name: hyperband, reduction_factor: 3}",
    "threshold": "{name: threshold, lower: 0.5}",
    "patient": "{name: patient, patience: 2, wrapped_pruner: {name: median}}",
    "wilcoxon": "{name: wilcoxon}",
}
HALVING = ("successive_halving", "hyperband")


def main() -> int:
    """Run every study in a folder of its own; check what halving saves and finds."""
    options = measure.arguments("samplers and pruners on the digits study", rounds=1)
    benchmark = measure.Benchmark("Samplers and pruners, digits, equal trials", packages=("mlx", "optuna"))
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in PRUNERS.items():
            found[name] = _study(Path(folder), f"pruner-{name}", "{name: random}", text)
            benchmark.enter({"sampler": "random", "pruner": name, **found[name]})
        for name in SAMPLERS:
            if name == "gp" and find_spec("torch") is None:
                print("gp is left out: torch is not installed", file=sys.stderr)
                continue
            row = _study(Path(folder), f"sampler-{name}", f"{{name: {name}}}", "{name: none}")
            benchmark.enter({"sampler": name, "pruner": "none", **row})
    plain = found["none"]
    for name in HALVING:
        lost = plain["best"] - found[name]["best"]
        share = found[name]["examples"] / plain["examples"]
        benchmark.checks.append(measure.check(f"{name}: accuracy lost", lost, bound=0.01))
        benchmark.checks.append(measure.check(f"{name}: share of the examples", share, bound=0.6))
    return benchmark.finish(as_json=options.json)


def _study(folder: Path, name: str, sampler: str, pruner: str) -> dict[str, float]:
    replicates = 4 if "wilcoxon" in pruner else 1
    grid = "grid" in sampler
    rate = "{choices: [0.0, 0.2]}" if grid else "{low: 0.0, high: 0.5}"
    text = STUDY.format(
        name=name, sampler=sampler, pruner=pruner, rate=rate, replicates=replicates,
        trials=TRIALS // replicates,
    )  # fmt: skip
    if grid:
        text = text.replace("{low: 1.0e-3, high: 1.0e-1, log: true}", "{choices: [1e-3, 3e-3, 1e-2, 1e-1]}")
        text = text.replace("{low: 1.0e-6, high: 1.0e-1, log: true}", "{choices: [1e-6, 1e-3, 1e-1]}")
    spec = parse(text, str(ROOT / "examples" / "digits" / "study.yaml"))
    with contextlib.redirect_stdout(sys.stderr):
        summary = run_study(spec, runs=folder, progress=Quiet())
    if not summary.best:
        raise SpecError([spec.document.problem((), "must have a trial that is complete")])
    import analysis

    ledger = analysis.load(folder / name).trials.ledger_examples
    return {
        "complete": summary.counts["COMPLETE"],
        "pruned": summary.counts["PRUNED"],
        "best": round(summary.best.value, 4),
        "examples": int(ledger.sum()),
        "wall_s": round(summary.wall_s, 1),
    }


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
