"""What a trial's process is given: its arguments, its environment, the files that tell it of the trial."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import cast

import psutil

from sweep.spec.command.program import located, search_path
from sweep.spec.command.template import fill, filled, nested, written
from sweep.vocabulary.trial import UNBOUNDED, Scalar
from sweep.vocabulary.turn import Command, Load
from sweep.worker.command.family import MARK
from sweep.worker.content import run_key

THREADS = "OMP_NUM_THREADS"
"""Ray sets 1 in a worker whose node has none: also where one program has the whole machine."""

DEBUGGER = "PYTHONBREAKPOINT"
"""Ray sets one of its own."""

METRICS_FILE = "metrics.jsonl"
PARAMS_FILE = "params.json"


class Surroundings:
    """What one attempt at a trial is given. `place` holds our own files, `folder` is the program's.

    `slots` is how many programs share the machine.
    """

    def __init__(
        self,
        command: Command,
        load: Load,
        *,
        study: Path,
        folder: Path,
        place: Path,
        resumed: int,
        slots: int,
    ) -> None:
        self._command = command
        self._load = load
        self._study = study
        self._folder = folder
        self._resumed = resumed
        self._slots = slots
        self.metrics = place / METRICS_FILE
        self._params = place / PARAMS_FILE
        folder.mkdir(parents=True, exist_ok=True)
        place.mkdir(parents=True, exist_ok=True)
        self._params.write_text(self._json(), "utf-8")
        self.metrics.unlink(missing_ok=True)
        self._values = self._placeholders()

    @property
    def working_directory(self) -> Path:
        """Where it runs."""
        given = self._command.working_directory
        return self._folder if given is None else self._study / given

    def arguments(self) -> list[str]:
        """Its arguments, without what has no value in this trial."""
        return filled(located(self._command.arguments, self._study), self._values)

    def environment(self) -> dict[str, str]:
        """This process's environment, what tells of the trial, and what the study file gives."""
        plan = self._load.plan
        own = {
            "PATH": search_path({}),
            "PYTHONUNBUFFERED": "1",  # else a pipe holds a program's lines back
            "SWEEP_PARAMS": self._json(),
            "SWEEP_PARAMS_FILE": str(self._params),
            "SWEEP_METRICS": str(self.metrics),
            "SWEEP_FOLDER": str(self._folder),
            "SWEEP_SEED": str(self._seed),
            "SWEEP_TRIAL": str(plan.number),
            "SWEEP_REPLICATE": str(self._load.replicate),
            MARK: uuid.uuid4().hex,
        }
        if (resume := fill("{resume}", self._values)) is not None:
            own["SWEEP_RESUME"] = resume
        given = {name: fill(text or "", self._values) for name, text in self._command.environment.items()}
        unset = [name for name, text in self._command.environment.items() if text is None]
        everything = {**_inherited(self._slots), **own, **given}
        return {name: text for name, text in everything.items() if text is not None and name not in unset}

    def _placeholders(self) -> Mapping[str, str | None]:
        plan = self._load.plan
        length = plan.length.examples if plan.length.examples < UNBOUNDED else None
        is_resumed = any(self._folder.iterdir())
        values: dict[str, Scalar] = {
            "folder": str(self._folder),
            "resume": str(self._folder) if is_resumed else None,
            "study": str(self._study),
            "params": str(self._params),
            "seed": self._seed,
            "trial": plan.number,
            "length": length,
            "left": None if length is None else max(length - self._resumed, 1),
            **plan.hyperparameters,
        }
        return {name: written(value) for name, value in values.items()}

    def _json(self) -> str:
        return json.dumps(nested(self._load.plan.hyperparameters))

    @cached_property
    def _seed(self) -> int:
        """A seed of the trial's own below 2^32, the same whenever and wherever it runs."""
        high, low = cast(list[int], run_key(self._load.plan, self._load.replicate).tolist())
        return high ^ low


def _inherited(slots: int) -> dict[str, str]:
    """This process's environment, as its node has it: without Ray's own variables, and with no token of it.

    Where programs share the machine, each has its part of the cores, unless a user has said otherwise.

    The folder of our packages is left out, too: they may have a user's names.
    """
    of_ray = _set_by_ray()
    found = {
        name: text for name, text in os.environ.items() if not name.startswith("RAY_") and name not in of_ray
    }
    if THREADS in of_ray and slots > 1:
        found[THREADS] = str(max(1, (os.cpu_count() or 1) // slots))
    paths = [each for each in found.get("PYTHONPATH", "").split(os.pathsep) if each]
    foreign = [each for each in paths if not Path(each, "sweep", "py.typed").is_file()]
    found.pop("PYTHONPATH", None)
    return {**found, **({"PYTHONPATH": os.pathsep.join(foreign)} if foreign else {})}


def _set_by_ray() -> set[str]:
    """Those variables that the node of this worker does not have; none where there is no such node."""
    try:
        node = psutil.Process(int(os.environ["RAY_RAYLET_PID"])).environ()
    except (KeyError, ValueError, psutil.Error, OSError):
        return set()
    return {name for name in (THREADS, DEBUGGER) if node and name not in node}
