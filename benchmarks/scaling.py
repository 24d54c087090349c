"""Trials per hour of a study over several nodes, against the same study over one of them.

The nodes are network namespaces of this machine with a real Ray each; their trials sleep, so that what is
measured is what carries trials to nodes and not this machine's cores. Needs root.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

from benchmarks.measure import Benchmark, Ratio, arguments, check, say
from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import StudyLab

LEAST_SHARE = 0.95
"""How much of as many times one node's rate several nodes must reach."""

REPORTS = 2
TRIAL_S = 1.0


def trials_an_hour(cluster: StudyLab, name: str, *, nodes: int, trials: int) -> float:
    """From the moment the first worker is there to the last trial's end."""
    changes = [("trials: 9", f"trials: {trials}"), ("epochs: 6", f"epochs: {REPORTS}")]
    if nodes == 1:
        changes.append(("lanes: 1", "lanes: 1\nrequire: {tags: [one]}"))
    run_dir = cluster.write(name, *changes)
    ended = cluster.sweep("run", f"{name}.yaml", "--quiet", "--no-report", timeout_s=trials * TRIAL_S + 120)
    if ended.returncode:
        raise SystemExit(f"the study did not end well: {ended.stderr}")
    return trials * 3600 / _seconds(run_dir)


def _seconds(run_dir: Path) -> float:
    records = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    times = {
        event: [each["time"] for each in records if each["event"] == event] for event in ("slot", "told")
    }
    return float(times["told"][-1] - times["slot"][0])


def main() -> int:
    """Measure and say."""
    options = arguments(__doc__ or "", least_rounds=2, nodes=3, trials=40, rounds=2)
    reason = reason_against()
    if reason is not None:
        print(f"cannot be measured here: {reason}", file=sys.stderr)
        return 1
    benchmark = Benchmark("A study over several nodes", packages=("ray", "mlx"))
    names = [f"n{number}" for number in range(options.nodes)]
    rates: dict[int, list[float]] = {1: [], options.nodes: []}
    with Lab(names, subnet="10.213.10") as lab:
        first = f"ip: {lab.ip(names[0])}"
        with StudyLab(lab) as cluster:
            cluster.up(*names, changes=((f"{first}}}", f"{first}, tags: [one]}}"),))
            for round_number in range(options.rounds):
                for nodes, found in rates.items():
                    say(f"round {round_number + 1} of {options.rounds}, {nodes} nodes")
                    name = f"on{nodes}-{round_number}"
                    found.append(trials_an_hour(cluster, name, nodes=nodes, trials=options.trials * nodes))
    ratio = Ratio.of([many / one for one, many in zip(*rates.values(), strict=True)])
    for nodes, found in rates.items():
        row = {"nodes": nodes, "trial_s": TRIAL_S, "trials_an_hour": statistics.median(found)}
        benchmark.enter(row)
    name = f"{options.nodes} nodes / {options.nodes} times one node, trials per hour"
    share = ratio.median / options.nodes
    benchmark.checks.append(check(name, share, bound=LEAST_SHARE, side="at least"))
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
