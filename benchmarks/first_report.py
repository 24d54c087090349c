"""How long a person waits for a study's first report, beside `ray.init` alone; and a quick study without Ray.

`python -m sweep run` in a new folder, from its start to the first report in the log; the programs that it
compiles were compiled before. In turn with that a process that imports Ray and starts it, no more.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import measure

ROOT = Path(__file__).parents[1]
BOUND_S = 3.0
INLINE_BOUND_S = 10.0
INLINE_TRIALS = 8
RAY = """
import os
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray
ray.init(address="local", num_cpus=int({cpus}), include_dashboard=True, log_to_driver=False, logging_level=40)
print("up", flush=True)
ray.shutdown()
"""


def command(study: str, folder: Path, *more: str) -> list[str]:
    """`sweep run` of a study of the digits example, its run directory in `folder`."""
    file = str(ROOT / "examples" / "digits" / study)
    return [
        sys.executable,
        "-m",
        "sweep",
        "run",
        file,
        "--quiet",
        "--runs",
        str(folder),
        "--no-report",
        *more,
    ]


def environment() -> dict[str, str]:
    """This checkout's modules come first."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def first_report(folder: Path) -> float:
    """Seconds from the command to the first report in the log; the study is then stopped."""
    shutil.rmtree(folder / "digits", ignore_errors=True)
    began = time.perf_counter()
    process = subprocess.Popen(command("study.yaml", folder), env=environment(), stdout=subprocess.DEVNULL)
    log = folder / "digits" / "log.jsonl"
    while not (log.is_file() and b'"event":"report"' in log.read_bytes()):
        if process.poll() is not None:
            raise SystemExit(f"the study ended with {process.returncode} before a report")
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    process.terminate()
    process.wait()
    return seconds


def ray_alone() -> float:
    """Seconds from a process's start until Ray is up in it."""
    began = time.perf_counter()
    code = RAY.format(cpus=os.cpu_count())
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - began
    return seconds


def inline(folder: Path) -> float:
    """Seconds for the whole command of the quick study, which uses no Ray."""
    shutil.rmtree(folder / "digits-quick", ignore_errors=True)
    began = time.perf_counter()
    done = subprocess.run(
        command("study-quick.yaml", folder, "--json"), env=environment(), capture_output=True, check=True
    )
    seconds = time.perf_counter() - began
    assert json.loads(done.stdout)["trials"]["COMPLETE"] == INLINE_TRIALS
    return seconds


def main() -> int:
    """Measure; return the exit code."""
    options = measure.arguments(__doc__.splitlines()[0] if __doc__ else "", least_rounds=2, rounds=3)
    benchmark = measure.Benchmark("From the command to the first report", packages=("ray", "mlx"))
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs, quickly = "sweep run, to the first report", "ray.init alone", "inline, 8 trials"
        runs = {
            ours: lambda: first_report(Path(folder)),
            theirs: ray_alone,
            quickly: lambda: inline(Path(folder)),
        }
        seconds = measure.interleaved(runs, rounds=options.rounds, warm_up=1).seconds
    for name in runs:
        benchmark.enter({"what": name, "seconds": measure.Ratio.of(seconds[name])})
    beyond = statistics.median(one - other for one, other in zip(seconds[ours], seconds[theirs], strict=True))
    for name, value, bound in (
        ("first report: seconds beyond ray.init", beyond, BOUND_S),
        ("inline: seconds for 8 digits trials", statistics.median(seconds[quickly]), INLINE_BOUND_S),
    ):
        benchmark.checks.append(measure.check(name, value, bound=bound))
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
