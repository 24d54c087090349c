"""Experiments of Determined: entrypoint, hyperparameters, searcher."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from sweep.api.importing import entries
from sweep.api.importing.arguments import Argument, escaped, options
from sweep.api.importing.drafts import Draft, ImportFault

KIND = "an experiment of Determined"

ELSEWHERE = {
    "name", "entrypoint", "hyperparameters", "searcher", "description", "labels", "project", "workspace",
    "resources", "records_per_epoch", "max_restarts", "environment", "data", "checkpoint_storage",
    "reproducibility", "debug",
}  # fmt: skip
"""What is read, or belongs to their cluster."""


def is_one(values: Mapping[str, Any]) -> bool:
    """Whether the keys are those of such a file."""
    return isinstance(values.get("searcher"), Mapping) and "hyperparameters" in values


def draft(values: Mapping[str, Any], *, name: str, program: str | None) -> Draft:
    """The study. Raises ImportFault."""
    made = Draft(KIND)
    space: dict[str, entries.Entry] = {}
    fixed: dict[str, Any] = {}
    _hyperparameters(values["hyperparameters"] or {}, made, space, fixed, is_grid=_is_grid(values))
    if not space:
        raise ImportFault(
            "hyperparameters: every one is a constant, so there is nothing to search. Add a range"
        )
    made.put("name", str(values.get("name") or name).replace(" ", "-").replace("/", "-"))
    seed = (values.get("reproducibility") or {}).get("experiment_seed")
    if seed is not None:
        made.put("seed", int(seed))
    made.put("command", _command(values, [*space, *fixed], made, program))
    if variables := _environment(values):
        made.put("environment", variables)
    searcher: Mapping[str, Any] = values["searcher"]
    direction = "minimize" if searcher.get("smaller_is_better", True) else "maximize"
    metric = str(searcher.get("metric", "validation_loss"))
    made.put(
        "objective",
        {"metric": metric, "direction": direction},
        "print it with `examples`, one JSON object per line",
    )
    made.put("space", space)
    if fixed:
        made.put("fixed", fixed)
    _length(searcher, made)
    _searcher(searcher, space, made)
    if "max_restarts" in values:
        made.put("failures", {"retry": int(values["max_restarts"])})
    for key in values.keys() - ELSEWHERE:
        made.note(f"{key}: is left out, a study file has nothing like it")
    return made


def _is_grid(values: Mapping[str, Any]) -> bool:
    return bool(values["searcher"].get("name") == "grid")


def _hyperparameters(
    given: Mapping[str, Any],
    made: Draft,
    space: dict[str, entries.Entry],
    fixed: dict[str, Any],
    *,
    is_grid: bool,
    prefix: str = "",
) -> None:
    for name, each in given.items():
        path = f"{prefix}{name}"
        if not isinstance(each, Mapping):
            fixed[path] = _scalar(each)
        elif "type" not in each:
            _hyperparameters(each, made, space, fixed, is_grid=is_grid, prefix=f"{path}.")
        elif each["type"] == "const":
            fixed[path] = _scalar(each.get("val"))
        else:
            space[path] = _entry(path, each, made, is_grid=is_grid)


def _entry(path: str, each: Mapping[str, Any], made: Draft, *, is_grid: bool) -> entries.Entry:
    kind = each["type"]
    if kind == "categorical":
        return entries.choices([_scalar(value) for value in each["vals"]])
    if kind not in ("int", "double", "log"):
        raise ImportFault(
            f"hyperparameters.{path}.type: {kind} is none of categorical, int, double, log and const"
        )
    if "minval" not in each or "maxval" not in each:
        raise ImportFault(f"hyperparameters.{path}: needs minval and maxval. Add them")
    low, high = entries.number(path, each["minval"]), entries.number(path, each["maxval"])
    count = int(each.get("count", 0))
    if kind == "log":
        base = float(each.get("base", 10))
        if is_grid and count > 1:
            made.note(f"{path}: the points of its grid are listed")
            points = [low + (high - low) * place / (count - 1) for place in range(count)]
            return entries.choices([float(f"{base**point:.6g}") for point in points])
        return entries.uniform(float(f"{base**low:.6g}"), float(f"{base**high:.6g}"), log=True)
    if is_grid and count > 1:
        points = [low + (high - low) * place / (count - 1) for place in range(count)]
        return entries.choices(
            [round(point) if kind == "int" else float(f"{point:.12g}") for point in points]
        )
    return entries.integers(low, high) if kind == "int" else entries.uniform(low, high)


def _scalar(value: Any) -> Any:
    """A value as one argument: lists and mappings as text."""
    return str(value) if isinstance(value, list | Mapping) else value


def _command(values: Mapping[str, Any], names: list[str], made: Draft, program: str | None) -> list[Argument]:
    given = values.get("entrypoint")
    words = shlex.split(given) if isinstance(given, str) else [str(each) for each in given or []]
    if program is not None or not words:
        if program is None:
            made.note("entrypoint: the file names none, train.py is a guess (pass --program SCRIPT)")
        return ["python", program or "train.py", *options(names)]
    if len(words) == 1 and ":" in words[0]:
        made.note(
            f"entrypoint: {words[0]} is a class of Determined's; train.py stands for a script that trains it"
        )
        return ["python", "train.py", *options(names)]
    if "determined.launch" in " ".join(words):
        made.note("entrypoint: Determined's launcher is left out, what it launched is kept")
        words = _launched(words)
    made.note("hyperparameters: reach the program as --name=value; Determined's own API is not there")
    return [*map(escaped, words), *options(names)]


def _launched(words: list[str]) -> list[str]:
    """What stands behind the launcher and its options."""
    for place, word in enumerate(words):
        if word.endswith(".py"):
            return ["python", *words[place:]]
        if word == "--":
            return words[place + 1 :]
    return ["python", "train.py"]


def _environment(values: Mapping[str, Any]) -> dict[str, str]:
    given = (values.get("environment") or {}) if isinstance(values.get("environment"), Mapping) else {}
    listed = given.get("environment_variables") or []
    if isinstance(listed, Mapping):
        listed = [text for each in listed.values() for text in each]
    pairs = (str(text).partition("=") for text in listed)
    return {name: escaped(value) for name, _, value in pairs}


def _length(searcher: Mapping[str, Any], made: Draft) -> None:
    given = searcher.get("max_length") or searcher.get("max_time")
    unit = str(searcher.get("time_metric", "batches"))
    if isinstance(given, Mapping):
        ((unit, given),) = list(given.items())[:1]
    if given:
        made.put("trial", {"length": {"examples": int(given)}}, f"in {unit}: count `examples` in them too")


def _searcher(searcher: Mapping[str, Any], space: Mapping[str, entries.Entry], made: Draft) -> None:
    name = str(searcher.get("name", "random"))
    trials = int(searcher.get("max_trials", 0))
    sampler = "grid" if name == "grid" else "random"
    if name in ("adaptive_asha", "async_halving", "sync_halving", "adaptive", "adaptive_simple"):
        divisor = max(2, int(float(searcher.get("divisor", 4))))
        kind = "hyperband" if name.startswith("adaptive") and "trial" in made.values else "successive_halving"
        made.put("pruner", {"name": kind, "reduction_factor": divisor})
        sampler = "tpe"
        made.note(f"searcher: {name} draws at random; here tpe proposes, and {kind} prunes")
    elif name == "single":
        trials, sampler = 1, "random"
        made.note("searcher: single trains one trial")
    elif name not in ("random", "grid"):
        made.note(f"searcher: {name} is not known here, random is used")
    if sampler == "grid" and any(
        "choices" not in each and isinstance(each["low"], float) for each in space.values()
    ):
        made.note("searcher: a grid needs `count` for each range; written as random")
        sampler = "random"
    made.put("sampler", {"name": sampler})
    if sampler == "grid":
        trials = 1
        for each in space.values():
            trials *= len(each["choices"]) if "choices" in each else each["high"] - each["low"] + 1
    made.put("budget", {"trials": trials or 50}, "" if trials else "the file gives no number of trials")
