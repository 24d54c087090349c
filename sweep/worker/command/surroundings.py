"""What a trial's process is given: its arguments, its environment, the files that tell it of the trial."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import cast

from sweep.spec.command.program import located, search_path
from sweep.spec.command.template import fill, filled, nested, written
from sweep.vocabulary.trial import UNBOUNDED, Scalar
from sweep.vocabulary.turn import Command, Load
from sweep.worker.command.family import MARK
from sweep.worker.content import run_key

METRICS_FILE = "metrics.jsonl"
PARAMS_FILE = "params.json"


class Surroundings:
    """What one attempt at a trial is given. `place` holds our own files, `folder` is the program's."""

    def __init__(
        self, command: Command, load: Load, *, study: Path, folder: Path, place: Path, resumed: int
    ) -> None:
        self._command = command
        self._load = load
        self._study = study
        self._folder = folder
        self._resumed = resumed
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
        everything = {**_inherited(), **own, **given}
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


def _inherited() -> dict[str, str]:
    """This process's environment without the folder of our packages: they may have a user's names."""
    found = dict(os.environ)
    paths = [each for each in found.get("PYTHONPATH", "").split(os.pathsep) if each]
    foreign = [each for each in paths if not Path(each, "sweep", "py.typed").is_file()]
    found.pop("PYTHONPATH", None)
    return {**found, **({"PYTHONPATH": os.pathsep.join(foreign)} if foreign else {})}
