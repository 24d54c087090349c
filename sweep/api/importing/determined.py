"""Experiments of Determined: entrypoint, hyperparameters, searcher."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from sweep.api.importing import entries
from sweep.api.importing.arguments import Argument, escaped, options
from sweep.api.importing.drafts import HERE, Draft, ImportFault

KIND = "an experiment of Determined"

HALVING = (
    "adaptive_asha", "asha", "async_halving", "sync_halving", "adaptive", "adaptive_simple",
)  # fmt: skip
"""Searchers that end trials early."""

SHELL = re.compile(r"&&|\|\||[;|<>`$]")
"""What only a shell understands."""

MOST_POINTS = 10_000
"""Of one hyperparameter in a grid."""

LARGEST_EXPONENT = 700
"""Of e, that a float can hold."""

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
    given = values["hyperparameters"]
    if not isinstance(given, Mapping):
        raise ImportFault("hyperparameters: is no mapping. Write names and their ranges")
    _hyperparameters(given, made, space, fixed, is_grid=_is_grid(values))
    if not space:
        raise ImportFault(
            "hyperparameters: every one is a constant, so there is nothing to search. Add a range"
        )
    made.put("name", str(values.get("name") or name).replace(" ", "-").replace("/", "-"))
    repeated = values.get("reproducibility")
    seed = repeated.get("experiment_seed") if isinstance(repeated, Mapping) else None
    if seed is not None:
        made.put("seed", entries.whole("reproducibility.experiment_seed", seed))
    made.put("command", _command(values, [*space, *fixed], made, program))
    made.put("working_directory", ".", HERE)
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
        made.put("failures", {"retry": entries.whole("max_restarts", values["max_restarts"])})
    for key in sorted(map(str, values.keys() - ELSEWHERE)):
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
            fixed[path] = entries.scalar(each)
        elif "type" not in each:
            _hyperparameters(each, made, space, fixed, is_grid=is_grid, prefix=f"{path}.")
        elif each["type"] == "const":
            fixed[path] = entries.scalar(each.get("val"))
        else:
            entry = _entry(path, each, made, is_grid=is_grid)
            if len(entry.get("choices", "..")) == 1:
                fixed[path] = entry["choices"][0]
            else:
                space[path] = entry


def _entry(path: str, each: Mapping[str, Any], made: Draft, *, is_grid: bool) -> entries.Entry:
    kind = each["type"]
    if kind == "categorical":
        listed = each.get("vals")
        if not isinstance(listed, list) or not listed:
            raise ImportFault(f"hyperparameters.{path}: needs vals, a list. Add it")
        return entries.choices(listed)
    if kind not in ("int", "double", "log"):
        raise ImportFault(
            f"hyperparameters.{path}.type: {kind} is none of categorical, int, double, log and const"
        )
    if "minval" not in each or "maxval" not in each:
        raise ImportFault(f"hyperparameters.{path}: needs minval and maxval. Add them")
    low, high = entries.number(path, each["minval"]), entries.number(path, each["maxval"])
    count = entries.whole(f"hyperparameters.{path}.count", each.get("count") or 0)
    if count > MOST_POINTS:
        raise ImportFault(f"hyperparameters.{path}.count: {count:g} points are too many. Write fewer")
    if kind == "log":
        base = entries.positive(f"hyperparameters.{path}.base", each.get("base", 10))
        if max(abs(low), abs(high)) * abs(math.log(base)) > LARGEST_EXPONENT:
            raise ImportFault(
                f"hyperparameters.{path}: minval and maxval are exponents of {base:g}, and too large. "
                "Write exponents"
            )
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


def _command(values: Mapping[str, Any], names: list[str], made: Draft, program: str | None) -> list[Argument]:
    given = values.get("entrypoint")
    if isinstance(given, str) and (SHELL.search(given) or "=" in given.split(" ")[0]):
        made.note("entrypoint: is read by a shell; hyperparameters are added to its last command")
        return ["sh", "-c", escaped(f'{given} "$@"'), "sh", *options(names)]
    words = entries.words("entrypoint", given)
    if program is not None or not words:
        if program is None:
            made.note("entrypoint: the file names none, train.py is a guess (pass --program SCRIPT)")
        return ["python", program or "train.py", *options(names)]
    if len(words) == 1 and ":" in words[0] and "/" not in words[0]:
        made.note(
            f"entrypoint: {words[0]} is a class of Determined's; train.py stands for a script that trains it"
        )
        return ["python", "train.py", *options(names)]
    if "determined.launch" in " ".join(words):
        launched = _launched(words)
        what = "what it launched is kept" if launched else "train.py stands for what it launched"
        made.note(f"entrypoint: Determined's launcher is left out, {what}")
        words = launched or ["python", "train.py"]
    made.note("hyperparameters: reach the program as --name=value; Determined's own API is not there")
    return [*map(escaped, words), *options(names)]


def _launched(words: list[str]) -> list[str]:
    """What stands behind the launcher and its options."""
    for place, word in enumerate(words):
        if word.endswith(".py"):
            return ["python", *words[place:]]
        if word == "--":
            return words[place + 1 :]
    return []


def _environment(values: Mapping[str, Any]) -> dict[str, str]:
    given = (values.get("environment") or {}) if isinstance(values.get("environment"), Mapping) else {}
    held = given.get("environment_variables") or []
    kinds = held.values() if isinstance(held, Mapping) else [held]  # by kind of processor, or for all
    listed = [text for each in kinds for text in entries.listed("environment.environment_variables", each)]
    pairs = (str(text).partition("=") for text in listed)
    return {name: escaped(value) for name, _, value in pairs}


def _length(searcher: Mapping[str, Any], made: Draft) -> None:
    given = searcher.get("max_length") or searcher.get("max_time")
    unit = str(searcher.get("time_metric", "batches"))
    if isinstance(given, Mapping) and given:
        unit, given = next(iter(given.items()))
    if given:
        length = entries.whole("searcher.max_length", given)
        made.put("trial", {"length": {"examples": length}}, f"in {unit}: count `examples` in them too")


def _searcher(searcher: Mapping[str, Any], space: Mapping[str, entries.Entry], made: Draft) -> None:
    name = str(searcher.get("name", "random"))
    trials = entries.whole("searcher.max_trials", searcher.get("max_trials") or 0)
    sampler = "grid" if name == "grid" else "random"
    if name in HALVING:
        divisor = max(2, int(entries.number("searcher.divisor", searcher.get("divisor") or 4)))
        kind = "hyperband" if name.startswith("adaptive") and "trial" in made.values else "successive_halving"
        made.put("pruner", {"name": kind, "reduction_factor": divisor})
        sampler = "tpe"
        made.note(f"searcher: {name} draws at random; here tpe proposes, and {kind} prunes")
    elif name == "single":
        trials, sampler = 1, "random"
        made.note("searcher: single trains one trial")
    elif name not in ("random", "grid"):
        made.note(f"searcher: {name} is not known here, random is used")
    sizes = [entries.count(each) for each in space.values()]
    if sampler == "grid" and 0 in sizes:
        made.note("searcher: a grid needs `count` for each range; written as random")
        sampler = "random"
    made.put("sampler", {"name": sampler})
    if sampler == "grid":
        trials = math.prod(sizes)
    made.put("budget", {"trials": trials or 50}, "" if trials else "the file gives no number of trials")
