"""A process that looks at a task and says what it found: `python -m sweep.worker.describe_task`.

One JSON request on stdin, one JSON answer on stdout. The driver never imports a task.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import train_core
from sweep.vocabulary.turn import TaskRef, Trainable
from sweep.worker import width_cache
from sweep.worker.task_loading import load_function, load_task
from train_core import device, reads
from train_core.loading import TaskLoadError
from train_core.task import task_errors
from train_core.written_at import in_cell


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Describe a task, and where "purity" is asked for, try that first: with problems it is all there is.

    The "greatest" hyperparameters of the study are only checked, so that no trial meets a limit later.
    {"problem", "place"} where the task cannot be loaded or does not run.
    """
    ref = TaskRef(request["folder"], request["target"])
    try:
        if request["trainable"] == Trainable.COMMAND:
            return _of_one_trial("a command trains one trial at a time")
        if request["trainable"] == Trainable.FUNCTION:
            load_function(ref)
            return _of_one_trial("a function trains one trial at a time")
        task = load_task(ref)
        train_core.split_for(task, request.get("greatest", request["hyperparameters"]))
        static, _ = train_core.split_for(task, request["hyperparameters"])
        data = train_core.DeviceDataset.of(task, static)
        found: dict[str, Any] = {}
        if request["purity"]:
            greatest = request.get("greatest")
            purity = train_core.purity(task, request["hyperparameters"], data, greatest=greatest)
            found = {"purity": purity.as_json()}
            if purity.problems:
                return found
        with task_errors(task, "reads"):  # a file that may not be read, too
            found["reads"] = reads.recorded(_reads(task, request).items())
        return {**train_core.describe(task, request["hyperparameters"], data), **found}
    except TaskLoadError as error:
        return {"problem": error.problem, "place": _place(error)}
    except train_core.TrainingError as error:
        return {"problem": str(error), "place": None}


def _place(error: TaskLoadError) -> str | None:
    """Where the problem is, if known: a file, with its line, or a line of a cell."""
    if error.file is None or error.line is None:
        return error.file
    return in_cell(error.file, error.line) or f"{error.file}:{error.line}"


def _reads(task: Any, request: dict[str, Any]) -> dict[str, reads.Read]:
    """What the task reads, whichever of the choices a trial has."""
    first = request["hyperparameters"]
    choices = request.get("choices", {})
    tried = [first, *({**first, name: value} for name, values in choices.items() for value in values)]
    found: dict[str, reads.Read] = {}
    for given in tried:
        with task_errors(task, "reads"):
            found |= task.reads(given)
    return found


def _of_one_trial(why: str) -> dict[str, Any]:
    """What there is to know of a function or a command before it runs: where it will."""
    return {
        "static": [],
        "switches": [],
        "dynamic": [],
        "metrics": [],
        "train_size": 0,
        "validation_size": 0,
        "vmap_incompatibility": why,
        "device": device.kind(),
        "chip": device.chip(),
        "memory_bytes": device.memory_bytes(),
    }


def main() -> None:
    """Answer one request on stdin; what the task prints goes to stderr, so the answer stands alone."""
    sys.path.insert(0, os.getcwd())  # as in the command's own process; not before: a sweep.py may lie there
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    width_cache.prepare_cuda()
    json.dump(answer(json.load(sys.stdin)), out)
    out.close()


if __name__ == "__main__":
    main()
