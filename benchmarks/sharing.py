"""Studies that share four slots of three machines: in what shares, at what cost, and how soon slots are had.

shares     three studies of weights 1, 1 and 2: slot-seconds and reports of each while all have work, and the
           reports of all in a second, beside those of one study that has the four slots for itself
priority   a study of higher priority begins while another has all slots: when they are given back, when its
           workers are there, and whether the other one trained anything twice; beside it how long the workers
           of a study take that finds all slots free

The machines are network namespaces with a real Ray each; trials sleep, so that this machine's cores are not
what is shared. Needs root.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import analysis
from benchmarks.measure import Benchmark, arguments, check, say
from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import StudyLab
from tests.logs import records

WEIGHTS = {"anna": 1, "ben": 1, "carl": 2}
SLOTS = 4
REPORT_S = 0.5


def run(
    cluster: StudyLab, studies: Mapping[str, tuple[str, int]], *, apart_s: float = 0.0
) -> dict[str, Path]:
    """Run studies, by name their `cluster_share` and trials, each begun so long after the one before."""
    runs: dict[str, Path] = {}
    for name, (share, trials) in studies.items():
        shared = f"cluster: lab.yaml\ncluster_share: {{{share}}}"
        changes = ("cluster: lab.yaml", shared), ("trials: 9", f"trials: {trials}")
        runs[name] = cluster.write(name, *changes, ("seed: 3", f"seed: {len(runs)}"))
    begun: dict[str, subprocess.Popen[str]] = {}
    for name in studies:
        if begun:
            time.sleep(apart_s)
        begun[name] = cluster.begin("run", f"{name}.yaml", "--no-report", "--quiet")
    for name, study in begun.items():
        said, _ = study.communicate()
        if study.returncode:
            raise SystemExit(f"{name} did not end well: {said}")
    return runs


def held(run_dir: Path, begin: float, end: float) -> float:
    """Slot-seconds of a study between two moments."""
    since: dict[str, float] = {}
    found = 0.0
    for record in records(run_dir, "slot", "lost", "closed"):
        now = min(max(record["time"], begin), end)
        match record["event"]:
            case "slot":
                since[record["slot"]] = now
            case "lost":
                found += now - since.pop(record["slot"], now)
            case _:
                found += sum(now - each for each in since.values())
                since.clear()
    return found


def reports(run_dir: Path, begin: float, end: float) -> int:
    """How many a study made between two moments."""
    return sum(begin < record["time"] <= end for record in records(run_dir, "report"))


def times(run_dir: Path, event: str) -> list[float]:
    """When a study recorded an event, in seconds since 1970."""
    return [record["time"] for record in records(run_dir, event)]


def shares(benchmark: Benchmark, cluster: StudyLab, *, number: int, trials: int) -> tuple[float, float]:
    """How far from its weight a study's share is at most, by slot-seconds; throughput, to one study's."""
    say(f"round {number + 1}: three studies")
    runs = run(
        cluster,
        {f"{name}-{number}": (f"weight: {weight}", trials * weight) for name, weight in WEIGHTS.items()},
    )
    begin = max(times(each, "slot")[0] for each in runs.values())
    # From then on a study has no trial left to begin, and gives its slots back.
    end = min(times(each, "asked")[-1] for each in runs.values())
    slots = [held(each, begin, end) for each in runs.values()]
    made = [reports(each, begin, end) for each in runs.values()]
    rate = sum(made) / (end - begin)
    say(f"round {number + 1}: one study")
    (alone,) = run(cluster, {f"alone-{number}": ("weight: 1", trials * SLOTS)}).values()
    first, last = times(alone, "slot")[SLOTS - 1], times(alone, "asked")[-1]
    rate_alone = reports(alone, first, last) / (last - first)
    off = []
    for (name, weight), its_slots, its_reports in zip(WEIGHTS.items(), slots, made, strict=True):
        due = weight / sum(WEIGHTS.values())
        off.append(abs(its_slots / sum(slots) / due - 1))
        row = {"part": "shares", "study": name, "weight": weight, "seconds": end - begin}
        benchmark.enter(
            {**row, "of the slots": its_slots / sum(slots), "of the reports": its_reports / sum(made)}
        )
    benchmark.enter({"part": "throughput", "reports a second": rate, "one study": rate_alone})
    benchmark.enter({"part": "free slots", "workers after": _after(alone, "slot", times(alone, "opened")[0])})
    for each in (*runs.values(), alone):
        benchmark.checks.append(check(f"{each.name}: examples trained twice", twice(each), bound=0))
    return max(off), rate / rate_alone


def twice(run_dir: Path) -> int:
    """How many examples a study trained beyond those of its trials."""
    found = analysis.load(run_dir)
    return int(found.trials.ledger_examples.sum() - found.metrics.groupby("trial").examples.max().sum())


def priority(benchmark: Benchmark, cluster: StudyLab, *, number: int, trials: int) -> tuple[float, float]:
    """Seconds from the start of a study of higher priority until all slots but one are given back to it.

    And until a worker of its own is on each.
    """
    say(f"round {number + 1}: a study of higher priority")
    low, high = f"low-{number}", f"high-{number}"
    runs = run(
        cluster, {low: ("priority: 0", trials * SLOTS), high: ("priority: 1", trials * SLOTS)}, apart_s=15.0
    )
    began = times(runs[high], "opened")[0]
    given, had = _after(runs[low], "lost", began), _after(runs[high], "slot", began)
    again = twice(runs[low])
    row = {"part": "priority", "given back after": given, "workers after": had, "trained twice": again}
    benchmark.enter(row)
    benchmark.checks.append(check(f"{low}: examples trained twice", again, bound=0))
    return given[-1], had[-1]


def _after(run_dir: Path, event: str, began: float) -> list[float]:
    """When the first slots but one were had or lost, in seconds from a moment on."""
    return [round(each - began, 2) for each in times(run_dir, event)[: SLOTS - 1]]


def main() -> int:
    """Measure and judge."""
    options: Any = arguments((__doc__ or "").splitlines()[0], rounds=2, trials=12)
    if (reason := reason_against()) is not None:
        print(f"cannot be measured here: {reason}", file=sys.stderr)
        return 1
    benchmark = Benchmark("Studies that share slots", packages=("ray", "mlx"))
    off, ratios, given, had = [], [], [], []
    with Lab(("a", "b", "c"), subnet="10.213.21") as lab, StudyLab(lab, pause_s=REPORT_S) as cluster:
        cluster.up("a", "b", "c", changes=((f"ip: {lab.ip('c')}", f"ip: {lab.ip('c')}, slots: 2"),))
        for number in range(options.rounds):
            its_off, ratio = shares(benchmark, cluster, number=number, trials=options.trials)
            off.append(its_off)
            ratios.append(ratio)
            its_given, its_had = priority(benchmark, cluster, number=number, trials=options.trials)
            given.append(its_given)
            had.append(its_had)
    benchmark.checks += [
        check("farthest that a share is from its weight", max(off), bound=0.05),
        check("throughput of three studies to one study's", median(ratios), bound=0.95, side="at least"),
        check("seconds until a higher priority is given its slots", median(given), bound=REPORT_S + 3),
        check("seconds until its workers are there", median(had), bound=REPORT_S + 3),
    ]
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
