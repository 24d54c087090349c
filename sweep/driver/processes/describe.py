"""Has a process of its own look at a task, so that the driver never imports one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.driver.processes.own import command, environment
from sweep.errors import Problem, SpecError, SweepError
from sweep.spec.task_description import Description
from sweep.vocabulary.turn import TaskRef, Trainable

DEADLINE_S = 600.0
"""How long a task may take to load its data and answer once."""


def describe(
    ref: TaskRef,
    hyperparameters: dict[str, Any],
    *,
    key_line: int | None,
    file: str,
    greatest: dict[str, Any] | None = None,
    choices: Mapping[str, Sequence[Any]] | None = None,
    purity: bool = False,
    trainable: Trainable = Trainable.TASK,
) -> Description:
    """Load the task once, elsewhere, with one set of hyperparameters; `greatest` are only looked at.

    With each of the `choices`, by name, it is asked what it reads.

    Raises SpecError where the task does not load or does not run, with the task's own error and line, or
    where `purity` is asked for and is lacking; what the task itself prints goes to stderr.
    """
    request = {
        "folder": ref.folder,
        "target": ref.target,
        "hyperparameters": hyperparameters,
        "greatest": greatest or hyperparameters,
        "choices": {name: list(values) for name, values in (choices or {}).items()},
        "purity": purity,
        "trainable": trainable,
    }
    found = _ask(ref, request)
    if "problem" in found:
        raise SpecError([_problem(found, ref, key_line, file)])
    report = found.get("purity")
    if report is not None and report["problems"]:
        lacking = [{"problem": text} for text in report["problems"]]
        raise SpecError([_problem(problem, ref, key_line, file) for problem in lacking])
    return Description(
        static=tuple(found["static"]),
        switches=tuple(found["switches"]),
        dynamic=tuple(found["dynamic"]),
        metrics=tuple(found["metrics"]),
        train_examples=found["train_size"],
        validation_examples=found["validation_size"],
        device=found["device"],
        chip=found["chip"],
        memory_bytes=found["memory_bytes"],
        vmap_incompatibility=found["vmap_incompatibility"],
        lane_rules=tuple(found.get("lane_rules", ())),
        filled=tuple(found.get("filled", ())),
        purity=report,
        widths=tuple(found.get("widths", ())),
        test_examples=found.get("test_size", 0),
        samples=found.get("samples", False),
        on_request=found.get("on_request", {}),
        reads=found.get("reads", {}),
    )


def _ask(ref: TaskRef, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a process of its own. Raises SweepError where there is none."""
    try:
        answer = subprocess.run(
            command("sweep.worker.describe_task"),
            input=json.dumps(request),
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            start_new_session=True,  # Ctrl-C is for this process, which ends that one
        )
    except subprocess.TimeoutExpired:
        raise SweepError(
            f"{ref}: the task did not load within {DEADLINE_S:.0f} s; make data() quicker"
        ) from None
    except OSError as error:  # of too many processes, or memory that is short
        raise SweepError(
            f"{ref}: a process to load the task in cannot be started: {error.strerror}; end something else "
            "that runs here, and run the same command again"
        ) from error
    if answer.returncode != 0:
        raise SweepError(f"{ref}: the process that loads the task ended with code {answer.returncode}")
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def _problem(found: dict[str, Any], ref: TaskRef, key_line: int | None, file: str) -> Problem:
    place = found.get("place")
    return Problem(
        file=file,
        key="task",
        line=key_line,
        what=found["problem"],
        remedy=f"see {place}" if place else None,
    )
