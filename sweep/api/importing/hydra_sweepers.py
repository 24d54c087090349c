"""What Hydra's sweepers search, each in its own keys: Optuna, Ax, Nevergrad, and Hydra's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.api.importing import entries, hydra_overrides
from sweep.api.importing.drafts import Draft, ImportFault

SAMPLERS = {
    "TPESampler": "tpe", "RandomSampler": "random", "CmaEsSampler": "cmaes", "NSGAIISampler": "nsgaii",
    "GridSampler": "grid", "GPSampler": "gp", "QMCSampler": "qmc", "MOTPESampler": "tpe",
    "tpe": "tpe", "random": "random", "cmaes": "cmaes", "nsgaii": "nsgaii", "motpe": "tpe", "grid": "grid",
}  # fmt: skip
"""Optuna's classes, and the plugin's short names, as samplers of a study."""

KEPT = ("n_startup_trials", "multivariate", "group", "constant_liar", "population_size")
"""Arguments of samplers that are the same here."""


@dataclass
class Sweep:
    """What is searched and how; `spelled` has each name as the command line has it. `trials` 0: not said."""

    space: dict[str, entries.Entry] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    directions: tuple[str, ...] = ("minimize",)
    sampler: dict[str, Any] = field(default_factory=lambda: {"name": "tpe"})
    trials: int = 0
    seed: int | None = None

    def put(self, key: str, entry: entries.Entry) -> None:
        """One hyperparameter; a single value is fixed."""
        path = key.lstrip("+~")
        self.spelled[path] = key
        if set(entry) == {"fixed"}:
            self.fixed[path] = entry["fixed"]
        else:
            self.space[path] = entry


def read(sweeper: Mapping[str, Any], names: Mapping[str, str], made: Draft) -> Sweep:
    """What a `hydra.sweeper` says; `names` are what the defaults choose. Raises ImportFault."""
    inner = sweeper.get("params")
    if isinstance(inner, Mapping) and {"ax_config", "optim", "parametrization"} & inner.keys():
        sweeper = inner  # as before Hydra 1.1
    if isinstance(sweeper.get("ax_config"), Mapping):
        return _ax(sweeper["ax_config"], made)
    if {"optim", "parametrization"} & sweeper.keys():
        return _nevergrad(sweeper, made)
    own = {"n_trials", "direction", "sampler", "study_name", "search_space", "custom_search_space"}
    if (
        own & sweeper.keys()
        or "optuna" in f"{sweeper.get('_target_', '')} {names.get('sweeper', '')}".lower()
    ):
        return _optuna(sweeper, names, made)
    return _basic(sweeper, made)


def _searched(given: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or not given:
        raise ImportFault(f"hydra.sweeper.{key}: is missing, so there is nothing to search. Add it")
    return given


def _optuna(sweeper: Mapping[str, Any], names: Mapping[str, str], made: Draft) -> Sweep:
    found = Sweep(trials=entries.whole("hydra.sweeper.n_trials", sweeper.get("n_trials", 20)))
    for key, each in _searched(sweeper.get("params") or sweeper.get("search_space"), "params").items():
        if isinstance(each, Mapping):
            found.put(str(key), _typed(str(key), each))
        else:
            found.put(str(key), hydra_overrides.entry(str(key), str(each), made, holds_stop=True))
    direction = sweeper.get("direction", "minimize")
    found.directions = tuple(map(str, direction)) if isinstance(direction, list) else (str(direction),)
    _sampler(sweeper.get("sampler"), names.get("sampler", ""), found, made)
    read = {"sampler", "direction", "study_name", "n_trials", "params", "search_space"}
    for key in sorted(map(str, sweeper.keys() - read - {"_target_", "storage", "n_jobs"})):
        made.note(f"hydra.sweeper.{key}: is left out, a study file has nothing like it")
    return found


def _typed(path: str, each: Mapping[str, Any]) -> entries.Entry:
    """The older way: {type: float, low, high, step, log}."""
    kind = each.get("type")
    if kind == "categorical":
        return entries.choices(
            entries.listed(f"hydra.sweeper.search_space.{path}.choices", each.get("choices"))
        )
    if "low" not in each or "high" not in each:
        raise ImportFault(f"hydra.sweeper.search_space.{path}: needs low and high. Add them")
    low, high = entries.number(path, each["low"]), entries.number(path, each["high"])
    log, step = bool(each.get("log", False)), each.get("step")
    if kind == "int":
        return entries.integers(low, high, log=log, step=1 if log else max(1, entries.whole(path, step or 1)))
    if step and not log:
        return entries.stepped(low, high, entries.positive(path, step))
    return entries.uniform(low, high, log=log)


def _sampler(given: Any, named: str, found: Sweep, made: Draft) -> None:
    if isinstance(given, Mapping) and "_target_" in given:
        named = str(given["_target_"]).rpartition(".")[2]
    if named and named not in SAMPLERS:
        made.note(f"hydra.sweeper.sampler: {named} is not known here, tpe is used")
    found.sampler = {"name": SAMPLERS.get(named, "tpe")}
    for key, value in given.items() if isinstance(given, Mapping) else ():
        if key == "seed" and isinstance(value, int):
            found.seed = value
        elif key in KEPT and value is not None:
            found.sampler[key] = value
        elif key not in ("_target_", "_partial_", "seed") and value is not None:
            made.note(f"hydra.sweeper.sampler.{key}: is left out; arguments may be added to `sampler`")


def _ax(given: Mapping[str, Any], made: Draft) -> Sweep:
    found = Sweep(trials=entries.whole("ax_config.max_trials", given.get("max_trials", 10)))
    for key, each in _searched(given.get("params"), "ax_config.params").items():
        if isinstance(each, Mapping):
            found.put(str(key), _of_ax(str(key), each))
        else:
            found.put(str(key), hydra_overrides.entry(str(key), str(each), made, holds_stop=False))
    experiment = given.get("experiment")
    if isinstance(experiment, Mapping) and experiment.get("minimize") is False:
        found.directions = ("maximize",)
    made.note("hydra.sweeper: Ax fits a Gaussian process; here tpe proposes")
    for key in sorted(map(str, given.keys() - {"max_trials", "params", "experiment"})):
        made.note(f"hydra.sweeper.ax_config.{key}: is left out")
    return found


def _of_ax(path: str, each: Mapping[str, Any]) -> entries.Entry:
    match each:
        case {"type": "fixed", "value": value}:
            return {"fixed": value}
        case {"type": "choice", "values": list(values)}:
            return entries.choices(values)
        case {"type": "range", "bounds": [low, high]}:
            low, high = entries.number(path, low), entries.number(path, high)
            log = bool(each.get("log_scale", False))
            whole = each.get("value_type", "int") == "int"
            if whole and isinstance(low, int) and isinstance(high, int):
                return entries.integers(low, high, log=log)
            return entries.uniform(low, high, log=log)
    raise ImportFault(
        f"hydra.sweeper.ax_config.params.{path}: is no range with bounds, choice with values or fixed value"
    )


def _nevergrad(sweeper: Mapping[str, Any], made: Draft) -> Sweep:
    optim = sweeper.get("optim")
    given = optim if isinstance(optim, Mapping) else {}
    found = Sweep(trials=entries.whole("hydra.sweeper.optim.budget", given.get("budget", 80)))
    for key, each in _searched(sweeper.get("parametrization"), "parametrization").items():
        if isinstance(each, list):
            found.put(str(key), entries.choices(each))
        elif isinstance(each, Mapping):
            found.put(str(key), _scalar(str(key), each, made))
        else:
            found.put(str(key), hydra_overrides.entry(str(key), str(each), made, holds_stop=False))
    if given.get("maximize"):
        found.directions = ("maximize",)
    if isinstance(given.get("seed"), int):
        found.seed = given["seed"]
    made.note(f"hydra.sweeper.optim: Nevergrad's {given.get('optimizer', 'OnePlusOne')}; here tpe proposes")
    return found


def _scalar(path: str, each: Mapping[str, Any], made: Draft) -> entries.Entry:
    """{init, step, log, lower, upper, integer}; where a bound is open, three steps from where it begins."""
    log = bool(each.get("log", False))
    bounds = {
        name: entries.number(path, each[name])
        for name in ("lower", "upper", "init", "step")
        if each.get(name) is not None
    }
    if not {"lower", "upper"} <= bounds.keys():
        if "init" not in bounds:
            raise ImportFault(f"hydra.sweeper.parametrization.{path}: needs lower and upper. Add them")
        made.note(f"{path}: is written as a range, {entries.DEVIATIONS} steps to each side of init")
        init, step = bounds["init"], entries.positive(path, bounds.get("step", 2.0 if log else 1.0))
        wide = step**entries.DEVIATIONS if log else step * entries.DEVIATIONS
        low, high = (init / wide, init * wide) if log else (init - wide, init + wide)
        bounds = {"lower": low, "upper": high, **bounds}
    low, high = bounds["lower"], bounds["upper"]
    return (
        entries.integers(low, high, log=log) if each.get("integer") else entries.uniform(low, high, log=log)
    )


def _basic(sweeper: Mapping[str, Any], made: Draft) -> Sweep:
    found = Sweep(sampler={"name": "grid"})
    for key, each in _searched(sweeper.get("params"), "params").items():
        found.put(str(key), hydra_overrides.entry(str(key), str(each), made, holds_stop=False))
    made.note("the objective: Hydra's own sweeper has none, `value` to be minimized is a guess")
    if found.space and (sizes := [entries.count(each) for each in found.space.values()]):
        found.trials = math.prod(sizes)
        if 0 in sizes:
            raise ImportFault("hydra.sweeper.params: an interval is no list of values. Write range or choice")
    return found
