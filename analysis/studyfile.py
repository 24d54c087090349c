"""The run directory's study.yaml, as far as tables and plots need it, and study files made from it.

It was checked and resolved when it was written, so it is only read here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from analysis.errors import RunError, warn
from runlog.integrity.written_files import WrittenFiles

_TOP_LEVEL = re.compile(r"^(?=[^\s#])", re.MULTILINE)
_NAME_LENGTH = 100


@dataclass(frozen=True)
class StudyFile:
    """A study as plain values, and its text; both empty where there is none."""

    values: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    @property
    def space(self) -> dict[str, dict[str, Any]]:
        """The entries of `space`: {low, high, log, step} or {choices}, and `when`."""
        return dict(self.values.get("space", {}))

    @property
    def choices(self) -> dict[str, list[Any]]:
        """The values of each categorical entry."""
        return {name: list(entry["choices"]) for name, entry in self.space.items() if "choices" in entry}

    @property
    def objectives(self) -> list[tuple[str, str]]:
        """(metric, direction) pairs."""
        found = self.values.get("objective", [])
        listed = [found] if isinstance(found, dict) else found
        return [(each["metric"], each["direction"]) for each in listed]

    @property
    def value_is_best(self) -> bool:
        """Whether a trial's value is that of its best report."""
        found = self.values.get("objective", {})
        of = (found if isinstance(found, dict) else found[0]).get("of")
        patient = "patience" in (self.values.get("trial") or {})
        return of == "best" or (of is None and patient)

    def with_point(self, params: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> str:
        """A study file that trains a trial's point first, and once; more trials search on from there.

        `params` were chosen for it, `hyperparameters` is all that it was trained with: an edit may have moved
        what was fixed into the space, and back. Raises RunError where there is no study to make it from.
        """
        if not self.text:
            raise RunError("without its study.yaml a run gives no study file")
        gone = {name: value for name, value in params.items() if name not in self.space}
        earlier = self.values.get("earlier", {}).items()
        always = {name for name, entry in self.space.items() if "when" not in entry}
        added = {name: value for name, value in (*earlier, *hyperparameters.items()) if name in always}
        point = {**added, **{name: value for name, value in params.items() if name in self.space}}
        now = self.values.get("fixed", {})
        fixed = {name: hyperparameters[name] for name in now if name in hyperparameters}
        name = f"{str(self.values['name'])[: _NAME_LENGTH - 5]}-best"
        changed = {
            "name": json.dumps(name),
            "enqueue": json.dumps([point]),
            "pruner": "{name: none}",
            "budget": "{trials: 1}",
            "stop": "{}",
        }
        outside = any(not holds(self.space[name], value) for name, value in point.items())
        if gone or outside or fixed != now:
            # A trial of before the space was edited.
            changed["fixed"] = json.dumps({**fixed, **gone})
            wider = {name: _with_value(self.space[name], value) for name, value in point.items()}
            changed["space"] = json.dumps({**self.space, **wider})
        blocks = {block.partition(":")[0]: block for block in _TOP_LEVEL.split(self.text) if ":" in block}
        blocks.pop("warm_start", None)
        blocks.pop("storage", None)
        return "".join({**blocks, **{key: f"{key}: {text}\n" for key, text in changed.items()}}.values())


def holds(entry: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is one of an entry's, steps aside."""
    if "choices" in entry:
        return value in entry["choices"]
    return isinstance(value, int | float) and bool(entry["low"] <= value <= entry["high"])


def _with_value(entry: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """The entry, wide enough to hold a value."""
    if holds(entry, value):
        return dict(entry)
    if "choices" in entry:
        return {**entry, "choices": [*entry["choices"], value]}
    if not isinstance(value, int | float):
        return {"choices": [value, entry["low"], entry["high"]]}
    ends = {"low": min(entry["low"], value), "high": max(entry["high"], value)}
    return {**{name: each for name, each in entry.items() if name != "step"}, **ends}


def read_study_file(path: Path, files: WrittenFiles) -> StudyFile:
    """Read a run's study.yaml; empty, with a warning, where it is missing or not what `files` vouch for."""
    try:
        data = path.read_bytes()
        if not files.vouch_for(path.name, data):
            warn(f"{path}: is not what the log recorded; its space is taken from the trials instead")
            return StudyFile()
        text = data.decode("utf-8")
        values = YAML(typ="safe", pure=True).load(text)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
        warn(f"{path}: {reason}; its space is taken from the trials instead")
        return StudyFile()
    if not _is_study(values):
        warn(f"{path}: holds no study; its space is taken from the trials instead")
        return StudyFile()
    return StudyFile(values, text)


def _is_study(values: Any) -> bool:
    """Whether what is read here has the shape that it is written in."""
    if not isinstance(values, dict) or not isinstance(values.get("name"), str):
        return False
    space, objective = values.get("space"), values.get("objective")
    listed = objective if isinstance(objective, list) else [objective]
    return (
        isinstance(space, dict)
        and all(
            isinstance(entry, dict) and ("choices" in entry or {"low", "high"} <= entry.keys())
            for entry in space.values()
        )
        and all(isinstance(each, dict) and {"metric", "direction"} <= each.keys() for each in listed)
    )
