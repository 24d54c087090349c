"""How long `analysis.load` takes to open a run of a million reports, and how large its files are.

The run directory is written as a run writes it: a log, parts of Parquet, and a tail that no part holds yet.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import analysis
from benchmarks import measure
from benchmarks.measure import Benchmark
from runlog import layout
from runlog.records import encode
from sweep.rundir.tables import refresh_metrics

REPORTS = 100
BOUND_S = 2.0


def write_run(run_dir: Path, *, trials: int, tail: int) -> None:
    """Write a finished study of `trials` trials, 100 reports each; the last `tail` reports in no part."""
    (run_dir / layout.METRICS).mkdir(parents=True)
    log = run_dir / layout.LOG
    opened = {
        "format": layout.FORMAT,
        "session": 1,
        "host": "mac-1",
        "pid": 1,
        "objectives": [{"metric": "loss", "direction": "minimize"}],
        "choices": {},
        "trials": trials,
    }
    with log.open("wb") as file:
        file.write(encode("opened", 0.0, opened))
        for number in range(trials):
            if number == trials - tail // REPORTS:
                file.flush()
                refresh_metrics(run_dir, stop=file.tell())
            file.write(b"".join(_trial(number)))
    if not tail:
        refresh_metrics(run_dir, stop=log.stat().st_size)


def _trial(number: int) -> list[bytes]:
    params = {"learning_rate": 1e-4 * (1 + number % 97), "layers": 1 + number % 5}
    asked = {"trial": number, "params": params, "hyperparameters": params, "seed": 0}
    lines = [encode("asked", float(number), asked)]
    for step in range(1, REPORTS + 1):
        report = {
            "trial": number,
            "replicate": 0,
            "examples": 1000 * step,
            "epoch": step / 2,
            "updates": 10 * step,
            "metrics": {
                "train_loss": 2.0 / step,
                "loss": 2.5 / (step + number % 7),
                "accuracy": 1 - 1 / step,
            },
            "attempt": 0,
            "width": 16,
            "lane": number % 16,
            "host": f"mac-{number % 4}",
        }
        lines.append(encode("report", number + step / REPORTS, report))
    told = {
        "trial": number,
        "state": "COMPLETE",
        "values": [2.5 / (REPORTS + number % 7)],
        "reason": None,
        "ledger": {"queue_s": 0.1, "train_s": 1.0, "traces": 0.0, "peak_memory_bytes": 1e6},
    }
    return [*lines, encode("told", number + 1.0, told)]


def main() -> int:
    """Measure each table once, cold in this process, and judge the metrics."""
    options = measure.arguments((__doc__ or "").splitlines()[0], trials=10_000)
    benchmark = Benchmark("Opening a run of many reports", packages=("pandas", "pyarrow"))
    with tempfile.TemporaryDirectory() as folder:
        for name, tail in (("ended", 0), ("running, a tail of 30,000 reports", 30_000)):
            run_dir = Path(folder, str(tail))
            measure.say(f"writing a run: {name}")
            write_run(run_dir, trials=options.trials, tail=min(tail, options.trials * REPORTS // 2))
            parts = sum(path.stat().st_size for path in (run_dir / layout.METRICS).iterdir())
            for table in ("metrics", "trials"):
                began = time.perf_counter()
                frame = getattr(analysis.load(run_dir), table)
                seconds = time.perf_counter() - began
                row = {
                    "run": name,
                    "table": table,
                    "rows": len(frame),
                    "seconds": seconds,
                    "memory_bytes": int(frame.memory_usage(deep=True).sum()),
                    "parquet_bytes": parts,
                    "log_bytes": (run_dir / layout.LOG).stat().st_size,
                }
                benchmark.enter(row)
                if table == "metrics":
                    check = f"metrics of a run, {name}: {len(frame):,} rows, s"
                    benchmark.checks.append(measure.check(check, seconds, bound=BOUND_S))
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
