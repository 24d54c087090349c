"""The verbs that steer a run: `sweep.set("runs/digits", {"budget.trials": 200})`.

Each writes a request and gives its answer; what is refused raises SweepError with the reason. Where the run
does not train, what makes sense is done by its next session.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configfile import plain
from sweep.api.steering.asking import Asked, ask
from sweep.driver.steering.refusal import Refusal
from sweep.driver.steering.settings import read_values
from sweep.errors import SweepError
from sweep.vocabulary.trial import Scalar


def set_(run: str | Path, values: Mapping[str, Any]) -> Asked:
    """Change keys of a study by their paths, such as {"budget.trials": 200}; None unsets one.

    study.yaml of the run holds them from then on, and a resume uses them until the study file is edited.
    """
    return ask(run, "set", {key: plain.scalar(value) for key, value in values.items()})


def enqueue(run: str | Path, point: Mapping[str, Scalar]) -> Asked:
    """Try a point next; the sampler fills in what it leaves open. It counts in the budget."""
    return ask(run, "enqueue", {name: plain.scalar(value) for name, value in point.items()})


def prune(run: str | Path, trial: int) -> Asked:
    """End a trial as PRUNED."""
    return ask(run, "prune", {"trial": trial})


def finish(run: str | Path, trial: int) -> Asked:
    """End a trial as COMPLETE where it stands: with the value of its last report, and its checkpoint."""
    return ask(run, "finish", {"trial": trial})


def pause(run: str | Path) -> Asked:
    """Save all trials and end the workers, until `resume`; the study's process stays, and waits."""
    return ask(run, "pause", {})


def resume(run: str | Path) -> Asked:
    """Let a paused study train again."""
    return ask(run, "resume", {})


def stop(run: str | Path) -> Asked:
    """Save all trials and end the study, as Ctrl-C does; its own command resumes it."""
    return ask(run, "stop", {})


def note(run: str | Path, text: str, *, trial: int | None = None) -> Asked:
    """Write a note on a run, or on a trial of it."""
    return ask(run, "note", {"text": text, **_of(trial)})


def tag(run: str | Path, tag: str, *, trial: int | None = None, remove: bool = False) -> Asked:
    """Tag a run, or a trial of it; `star` keeps a trial's checkpoints. `remove` takes the tag away."""
    return ask(run, "tag", {"tag": tag, **_of(trial), **({"remove": True} if remove else {})})


def texts(pairs: list[str], example: str) -> dict[str, Any]:
    """`NAME=VALUE` words as values that the study file would have. Raises SweepError."""
    named: dict[str, str] = {}
    for pair in pairs:
        name, is_there, value = pair.partition("=")
        if not is_there or not name:
            raise SweepError(f"{pair} is no NAME=VALUE. Write it like {example}")
        if not value.strip():
            raise SweepError(f"{name} has no value. Write it like {example}; {name}=null takes one away")
        if name in named:
            raise SweepError(f"{name} is given twice: {named[name]} and {value}. Give it once")
        named[name] = value
    try:
        return read_values(named)
    except Refusal as refusal:
        raise SweepError(str(refusal)) from refusal


def _of(trial: int | None) -> dict[str, int]:
    return {} if trial is None else {"trial": trial}
