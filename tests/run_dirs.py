"""Small run directories for tests: plans, reports and outcomes as a driver would record them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from runlog.integrity import checksum
from sweep.rundir.rundir import RunDir
from sweep.vocabulary.trial import Length, Outcome, Report, Scalar, Snapshot, TrialPlan, TrialState

LENGTH = Length(examples=300, report_every=100)
START = 1_700_000_000.0
OBJECTIVES = (("accuracy", "maximize"),)
CHOICES: dict[str, tuple[Scalar, ...]] = {"hidden": (64, 128), "optimizer": ("adamw", "sgd")}


class Clock:
    """A clock that a test sets; each reading passes `tick` seconds."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now = START
        self.tick = tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def params(number: int) -> dict[str, Scalar]:
    optimizer = ("adamw", "sgd")[number % 2]
    momentum = {"momentum": 0.5} if optimizer == "sgd" else {}
    return {"learning_rate": 0.1 / (number + 1), "hidden": 64, "optimizer": optimizer, **momentum}


def plan(number: int) -> TrialPlan:
    return TrialPlan(number, 0, {**params(number), "warmup_fraction": 0.1}, (("hidden", 64),), LENGTH)


def report(number: int, examples: int, *, replicate: int = 0, **changes: object) -> Report:
    fields = {
        "trial": number,
        "replicate": replicate,
        "examples": examples,
        "epoch": examples / 100,
        "updates": examples // 10,
        "metrics": {"loss": 1 / examples, "accuracy": accuracy(number, examples)},
        "attempt": 1,
        "width": 4,
        "lane": number % 4,
        "host": "mac-1",
        "time": START + examples,
    }
    return Report(**{**fields, **changes})  # type: ignore[arg-type]


def accuracy(number: int, examples: int) -> float:
    return 1 - 1 / (examples + number + 1)


def outcome(number: int, state: TrialState = TrialState.COMPLETE) -> Outcome:
    values = None if state is TrialState.FAIL else (accuracy(number, LENGTH.examples),)
    reason = "loss is nan" if state is TrialState.FAIL else None
    return Outcome(number, state, values, reason, {"train_s": 2.0, "queue_s": 5.0, "host": "mac-1"})


def snapshot(
    number: int, examples: int, content: bytes, *, replicate: int = 0, final: bool = False
) -> Snapshot:
    digest = hashlib.sha256(content).hexdigest()
    return Snapshot(number, replicate, examples, "/elsewhere/on/the/worker", len(content), digest, final)


def rewrite(log: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the lines of a log as a version that writes them so would: with checksums that hold."""
    previous, lines = checksum.START, []
    for line in log.read_bytes().splitlines():
        sealed, previous = checksum.seal(change(checksum.unsealed(line)) + b"\n", previous)
        lines.append(sealed)
    log.write_bytes(b"".join(lines))


def write_recorded(run_dir: Path, name: str, text: str) -> None:
    """Replace study.yaml or provenance.json as a session would, so that the log vouches for it."""
    with RunDir.open(run_dir.parent, run_dir.name) as run:
        run._replace(name, text.encode())


def open_run(root: Path, clock: Clock | None = None) -> RunDir:
    return RunDir.open(root, "study", clock=clock or Clock())


def begin(run: RunDir) -> None:
    run.record_opened(objectives=OBJECTIVES, choices=CHOICES, trials=8)


def ask(run: RunDir, *numbers: int) -> None:
    for number in numbers:
        run.record_asked(plan(number), params(number))


def complete(run: RunDir, *numbers: int) -> None:
    """Record whole trials: asked, all reports, told."""
    ask(run, *numbers)
    for examples in range(LENGTH.report_every, LENGTH.examples + 1, LENGTH.report_every):
        run.record_reports([report(number, examples) for number in numbers])
    for number in numbers:
        run.record_outcome(outcome(number))


def store(run: RunDir, number: int, examples: int, content: bytes, *, final: bool = False) -> Snapshot:
    with run.checkpoints.begin(snapshot(number, examples, content, final=final)) as writer:
        writer.write(content[:3])
        writer.write(content[3:])
        return writer.commit()
