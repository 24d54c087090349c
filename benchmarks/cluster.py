"""How long `doctor`, `up` and `down` take over ten machines: namespaces of this one, each with a real sshd.

They share this machine's cores, which ten Macs do not: what is measured is an upper bound. Needs root.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from statistics import median

from benchmarks.measure import Benchmark, arguments, check, say
from tests.clusters.lab import Lab, reason_against

BOUNDS_S = {"doctor": 15.0, "up": 60.0}


def verb_s(lab: Lab, verb: str, is_well: Callable[[dict[str, object]], bool]) -> float:
    """Seconds of one `cluster VERB --json` over all machines, all of them well."""
    began = time.perf_counter()
    done = lab.cluster(verb, "--json")
    took = time.perf_counter() - began
    if done.returncode or not is_well(json.loads(done.stdout)):
        raise SystemExit(f"{verb} went wrong: {done.stdout}{done.stderr}")
    return took


def main() -> int:
    """Measure and say."""
    options = arguments(__doc__ or "", nodes=10, rounds=3)
    reason = reason_against()
    if reason is not None:
        print(f"cannot be measured here: {reason}", file=sys.stderr)
        return 1
    benchmark = Benchmark("cluster", packages=("ray", "mlx"))
    times: dict[str, list[float]] = {"doctor": [], "up": [], "up again": [], "down": []}
    with Lab([f"n{number}" for number in range(options.nodes)]) as lab:
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            times["doctor"].append(verb_s(lab, "doctor", lambda said: not said["red"]))
            for verb in ("up", "up again"):
                times[verb].append(verb_s(lab, verb.split()[0], lambda said: bool(said["nodes"])))
            times["down"].append(verb_s(lab, "down", lambda said: bool(said["nodes"])))
    for verb, seconds in times.items():
        row = {"verb": verb, "nodes": options.nodes, "median_s": median(seconds)}
        benchmark.enter({**row, "least_s": min(seconds), "most_s": max(seconds)})
    for verb, bound in BOUNDS_S.items():
        name = f"{verb} over {options.nodes} nodes, seconds"
        benchmark.checks.append(check(name, median(times[verb]), bound=bound))
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
