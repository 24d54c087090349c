"""A program for tests: what it does hangs on its arguments, as a script of anybody's would."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path


def train(rate: float, steps: int, slow: float) -> None:
    """A quadratic: reports each step, then saves it, and continues from there."""
    state = Path("state.json")
    x, step = json.loads(state.read_text()) if state.exists() else (2.0, 0)
    while step < steps:
        step += 1
        x -= rate * 2 * x
        print(json.dumps({"examples": 100 * step, "loss": x * x}), flush=True)
        fresh = Path("state.json.new")
        fresh.write_text(json.dumps((x, step)))
        fresh.replace(state)
        time.sleep(slow)


def logged(rate: float) -> None:
    """What a program prints that knows nothing of sweeps."""
    for step in (10, 20, 30):
        print(f"Iter {step}: Val loss {rate * step:.4f}, took 0.1s", file=sys.stderr)
        print(f"Iter {step}: Train loss {rate:.4f}", file=sys.stderr)


def given() -> None:
    """Repeats what it was given, for the test to read."""
    names = [name for name in os.environ if name.startswith("SWEEP_")]
    found = {
        **{name: os.environ[name] for name in names},
        "arguments": sys.argv[2:],
        "folder": os.getcwd(),
        "path": os.environ["PATH"],
        "file": json.loads(Path(os.environ["SWEEP_PARAMS_FILE"]).read_text()),
        "mine": os.environ.get("MINE"),
        "home": os.environ.get("HOME"),
    }
    (Path(__file__).parent / f"given-{os.environ['SWEEP_TRIAL']}.json").write_text(json.dumps(found))
    with Path(os.environ["SWEEP_METRICS"]).open("a") as file:
        file.write('{"examples": 1, "loss": 1.0}\n')


def children(kind: str) -> None:
    """Leaves processes behind, or never ends."""
    pids = Path(__file__).parent / "pids"
    if kind == "ignores":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if kind in ("forks", "leaves", "many", "hogs"):
        for own_session in (False, True):
            if os.fork() == 0:
                if own_session:
                    os.setsid()
                with pids.open("a") as file:
                    print(os.getpid(), file=file, flush=True)
                held = b"x" * (400_000_000 if kind == "hogs" and own_session else 1)
                time.sleep(1000)
                del held
    with pids.open("a") as file:
        print(os.getpid(), file=file)
    while kind == "forks" and len(pids.read_text().split()) < 3:
        time.sleep(0.01)
    if kind == "many":
        print("".join(f'{{"examples": {step}, "loss": 1.0}}\n' for step in range(1, 51)), flush=True)
    else:
        print('{"examples": 1, "loss": 1.0}', flush=True)
    if kind not in ("leaves", "many"):
        time.sleep(1000)
    while len(pids.read_text().split()) < 3:
        time.sleep(0.01)


def stopped(resume: str) -> None:
    """Reports three steps at once, waits to be stopped, and then reports and saves one more; or continues."""
    if resume:
        for step in (5, 6):
            print(json.dumps({"examples": step, "loss": 1.0}), flush=True)
        return

    def end(*_: object) -> None:
        print(json.dumps({"examples": 4, "loss": 1.0}), flush=True)
        Path("state.json").write_text("4")
        sys.exit()

    signal.signal(signal.SIGTERM, end)
    print("".join(json.dumps({"examples": step, "loss": 1.0}) + "\n" for step in (1, 2, 3)), flush=True)
    time.sleep(1000)


def waits(rate: float, here: Path, resume: str) -> None:
    """Reports twice, saves, and waits with two children to be ended; it ends where it resumes.

    A good one reports often and ends, a bad one reports until it is ended: where a pruner can compare them.
    """

    def write_down() -> None:
        with (here / "pids").open("a") as file:
            print(os.environ["SWEEP_TRIAL"], os.getpid(), file=file, flush=True)

    write_down()
    is_good, is_bad = rate == 0.1, rate > 0.5
    steps: Iterable[int] = range(1, 101) if is_good else itertools.count(1) if is_bad else (1, 2)
    for step in (3, 4) if resume else steps:
        print(json.dumps({"examples": step, "loss": rate}), flush=True)
        time.sleep(0.2 if is_bad else 0.0)
    if resume or is_good:
        return
    for own_session in (False, True):
        if os.fork() == 0:
            if own_session:
                os.setsid()
            write_down()
            time.sleep(1000)
    Path("state.json").write_text("2")
    time.sleep(1000)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what")
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--kind", default="")
    parser.add_argument("--resume", default="")
    parser.add_argument("--here", type=Path, default=Path())
    known, _ = parser.parse_known_args()
    match known.what:
        case "train":
            train(known.rate, known.steps, known.slow)
        case "logged":
            logged(known.rate)
        case "given":
            given()
        case "waits":
            waits(known.rate, known.here, known.resume)
        case "stopped":
            stopped(known.resume)
        case "children":
            children(known.kind)


if __name__ == "__main__":
    main()
