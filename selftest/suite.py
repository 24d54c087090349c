"""All checks in order, what they found as one JSON object, and the files that hold it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selftest import groups, machine, page, records, table
from selftest.results import Result, Status

FORMAT = 1


def run(*, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Run every group; the object that `selftest.json` holds."""
    began, results = time.monotonic(), []
    for name in groups.GROUPS:
        say(name)
        results += list(groups.run(name, quick=quick))
    return {
        "format": FORMAT,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "quick": quick,
        "seconds": round(time.monotonic() - began, 1),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "results": [result.as_json() for result in results],
    }


def results_of(found: dict[str, Any]) -> list[Result]:
    """The results in such an object."""
    return [Result.from_json(held) for held in found["results"]]


def is_red(results: Sequence[Result]) -> bool:
    """Whether a claim does not hold here."""
    return any(result.status is Status.RED for result in results)


def main() -> int:
    """The command line; exit code 1 where a check is red."""
    parser = argparse.ArgumentParser(
        prog="python -m sweep selftest", description="Check this project's claims on this machine."
    )
    parser.add_argument("--quick", action="store_true", help="fewer trials and rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout, nothing else")
    parser.add_argument("--into", type=Path, default=Path(), help="the folder for the two files")
    chosen = parser.parse_args()
    try:
        chosen.into.mkdir(parents=True, exist_ok=True)
        files = [chosen.into / "selftest.json", chosen.into / "selftest.html"]
        for file in files:
            file.open("a").close()
    except OSError as error:
        print(f"{error.filename}: cannot be written: {error.strerror}. Pass --into DIR", file=sys.stderr)
        return 2
    found = run(quick=chosen.quick, say=lambda name: print(f"checking: {name}", file=sys.stderr, flush=True))
    others = records.chips()
    files[0].write_text(json.dumps(found, indent=1) + "\n")
    files[1].write_text(page.html(found, others))
    if chosen.json:
        print(json.dumps(found))
    else:
        table.show(found, others)
        print(f"written: {files[0]} and {files[1]}. They hold no names of hosts, users or folders.")
    return 1 if is_red(results_of(found)) else 0
