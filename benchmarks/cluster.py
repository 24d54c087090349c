"""How long `doctor` takes over ten machines: network namespaces of this one, each with a real sshd.

They share this machine's cores, which ten Macs do not: what is measured is an upper bound. Needs root.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.measure import Benchmark, arguments, check, say
from tests.clusters.lab import Lab, reason_against

BOUND_S = 15.0


def doctor_s(lab: Lab) -> float:
    """Seconds of one `doctor --json` over all machines, all of them well."""
    began = time.perf_counter()
    done = lab.cluster("doctor", "--json")
    took = time.perf_counter() - began
    if done.returncode or json.loads(done.stdout)["red"]:
        raise SystemExit(f"doctor found something red: {done.stdout}{done.stderr}")
    return took


def main() -> int:
    """Measure and say."""
    options = arguments(__doc__ or "", nodes=10, rounds=3)
    reason = reason_against()
    if reason is not None:
        print(f"cannot be measured here: {reason}", file=sys.stderr)
        return 1
    benchmark = Benchmark("doctor", packages=("ray", "mlx"))
    times = []
    with Lab([f"n{number}" for number in range(options.nodes)]) as lab:
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            times.append(doctor_s(lab))
    times.sort()
    median_s = times[len(times) // 2]
    benchmark.rows.append(
        {"nodes": options.nodes, "doctor_s": median_s, "least_s": times[0], "most_s": times[-1]}
    )
    benchmark.checks.append(check(f"doctor over {options.nodes} nodes, seconds", median_s, bound=BOUND_S))
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
