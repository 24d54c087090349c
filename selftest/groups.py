"""The checks by group. A group runs in a process of its own: what ends one leaves the others.

`python -m selftest.groups NAME` prints each result as a line of JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator

from selftest.results import Result, Status

GROUPS = {
    "keys": "exactness.key_values",
    "lanes": "exactness.lanes",
    "rules": "exactness.rules",
    "gain": "speed.gain",
    "step": "speed.overhead",
    "guard": "memory.guard",
    "cache": "memory.cache",
    "study": "studies.study",
    "population": "population.population",
}
"""In the order in which they run, each by the function that makes its results."""

LIMIT_S = {"study": 240.0}
LONGEST_S, END_S = 120.0, 30.0

ENVIRONMENT = {"MLX_ENABLE_TF32": "0"}
"""Lanes and single runs round alike, as in a worker."""


def run(name: str, *, quick: bool) -> Iterator[Result]:
    """The results of a group; one that does not end, or ends badly, is a red one."""
    command = [sys.executable, "-m", "selftest.groups", name, *(["--quick"] if quick else [])]
    process = subprocess.Popen(
        command,
        env={**os.environ, **ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=LIMIT_S.get(name, LONGEST_S))
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err = f"not done within {LIMIT_S.get(name, LONGEST_S):.0f} s"
    except BaseException:  # Ctrl-C reaches the group, too: it ends its study
        process.wait(END_S)
        raise
    yield from (Result.from_json(json.loads(line)) for line in out.splitlines() if line.startswith("{"))
    if process.returncode:
        last = (err.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        yield Result(name, name, f"the checks of {name} run to their end", Status.RED, last[:200])


def main() -> None:
    """Run one group here."""
    parser = argparse.ArgumentParser(prog="python -m selftest.groups")
    parser.add_argument("name", choices=GROUPS)
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    module, _, function = GROUPS[chosen.name].partition(".")
    make = getattr(importlib.import_module(f"selftest.{module}"), function)
    for result in make(quick=chosen.quick):
        print(json.dumps(result.as_json()), flush=True)


if __name__ == "__main__":
    main()
