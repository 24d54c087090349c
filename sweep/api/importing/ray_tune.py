"""Experiments of Ray Tune and RLlib in YAML: `name: {run, env, stop, config, num_samples}`."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from typing import Any

from sweep.api.importing import entries
from sweep.api.importing.drafts import Draft, ImportFault

KIND = "an experiment of Ray Tune"

LENGTHS = ("training_iteration", "timesteps_total", "num_env_steps_sampled_lifetime")
READ = {"run", "env", "stop", "config", "num_samples", "metric", "mode", "param_space", "tune_config"}

CALL = re.compile(r"^\s*(?:ray\.)?tune\.(\w+)\((.*)\)\s*$", re.DOTALL)


def is_one(values: Mapping[str, Any]) -> bool:
    """Whether the keys are those of such a file."""
    return bool(values) and all(
        isinstance(each, Mapping) and {"run", "config", "param_space"} & each.keys()
        for each in values.values()
    )


def draft(values: Mapping[str, Any], *, name: str, program: str | None) -> Draft:
    """The study of the file's first experiment. Raises ImportFault."""
    made = Draft(KIND)
    (title, given), *others = values.items()
    if others:
        made.note(f"the file has {len(values)} experiments; this is {title}, the first")
    space: dict[str, entries.Entry] = {}
    fixed: dict[str, Any] = {}
    config = given.get("config") or given.get("param_space") or {}
    if not isinstance(config, Mapping):
        raise ImportFault(f"{title}.config: is no mapping. Write names and values")
    grids: set[str] = set()
    _config(config, space, fixed, made, grids)
    if not space:
        raise ImportFault(
            f"{title}.config: holds no grid_search and no tune.* range, so there is nothing to search"
        )
    for key in ("run", "env"):
        if key in given and key not in fixed:
            fixed[key] = str(given[key])
    if program is None:
        made.note("the program: train.py has to run the trainable that is named (pass --program SCRIPT)")
    made.put("name", re.sub(r"[^\w.-]", "-", str(title)))
    command = ["python", program or "train.py", "--config={params}"]
    made.put("command", command, "{params}: all hyperparameters as a JSON file, nested as here")
    metric, direction = _objective(given, made)
    made.put(
        "objective",
        {"metric": metric, "direction": direction},
        "print it with `examples`, one JSON object per line",
    )
    made.put("space", space)
    if fixed:
        made.put("fixed", fixed)
    _stop(given.get("stop"), metric, made)
    _budget(given, space, grids, made)
    for key in sorted(map(str, given.keys() - READ)):
        made.note(f"{key}: is left out, a study file has nothing like it")
    return made


def _budget(
    given: Mapping[str, Any], space: Mapping[str, entries.Entry], grids: set[str], made: Draft
) -> None:
    """`num_samples` times the points of what is a grid; all else is drawn."""
    config = given.get("tune_config")
    inner = config.get("num_samples") if isinstance(config, Mapping) else None
    samples = entries.whole("num_samples", given.get("num_samples") or inner or 1)
    points = math.prod(len(space[name]["choices"]) for name in grids)
    is_grid = grids == space.keys()
    made.put("sampler", {"name": "grid" if is_grid else "random"})
    if is_grid and samples > 1:
        made.put(
            "trial", {**made.values.get("trial", {}), "replicates": samples}, "num_samples: each point again"
        )
    if grids and not is_grid:
        made.note(f"grid_search: {', '.join(sorted(grids))} and ranges together are drawn at random")
    made.put("budget", {"trials": points if is_grid else points * samples})


def _config(
    given: Mapping[str, Any],
    space: dict[str, entries.Entry],
    fixed: dict[str, Any],
    made: Draft,
    grids: set[str],
    prefix: str = "",
) -> None:
    for name, each in given.items():
        path = f"{prefix}{name}"
        if isinstance(each, Mapping) and isinstance(listed := each.get("grid_search"), list):
            _grid(path, listed, space, fixed, made)
            grids |= {path} & space.keys()
        elif isinstance(each, Mapping) and each:
            _config(each, space, fixed, made, grids, f"{path}.")
        elif isinstance(each, str) and (found := CALL.match(each)):
            entry = _call(path, found[1], found[2], made)
            if found[1] == "grid_search":
                grids.add(path)
            if len(entry.get("choices", "..")) == 1:
                fixed[path] = entry["choices"][0]
                grids.discard(path)
            else:
                space[path] = entry
        elif isinstance(each, list | Mapping):
            made.note(f"{path}: a list stays in the program, or is written as text")
            fixed[path] = entries.scalar(each)
        else:
            fixed[path] = each


def _grid(
    path: str, listed: list[Any], space: dict[str, entries.Entry], fixed: dict[str, Any], made: Draft
) -> None:
    if any(isinstance(each, list | Mapping) for each in listed):
        made.note(f"{path}: lists and mappings are written as text, which the program reads")
    found = entries.choices(listed)
    if len(found["choices"]) == 1:
        fixed[path] = found["choices"][0]
    else:
        space[path] = found


def _call(path: str, kind: str, text: str, made: Draft) -> entries.Entry:
    """tune.uniform(0, 1), tune.loguniform(1e-4, 1e-1), tune.randint(1, 10), tune.choice([1, 2])."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call):
            raise ValueError
        values = [ast.literal_eval(each) for each in call.args]
        values += [ast.literal_eval(each.value) for each in call.keywords if each.arg != "base"]
    except (SyntaxError, ValueError):
        raise ImportFault(
            f"config.{path}: tune.{kind}({text}) is not made of numbers. Write them out"
        ) from None
    try:
        return _distribution(path, kind, values, made)
    except (TypeError, OverflowError, ZeroDivisionError):
        raise ImportFault(
            f"config.{path}: tune.{kind}({text}) is not made of numbers. Write them out"
        ) from None


def _distribution(path: str, kind: str, values: list[Any], made: Draft) -> entries.Entry:
    match kind, values:
        case (("choice" | "grid_search"), [list() as listed]):
            return entries.choices(listed)
        case "uniform", [low, high]:
            return entries.uniform(low, high)
        case "loguniform", [low, high]:
            return entries.uniform(low, high, log=True)
        case "quniform", [low, high, q]:
            return entries.quantised(low, high, q)
        case (("qloguniform" | "qlograndint"), [low, high, q]):
            return entries.quantised_log(low, high, q)
        case "randint", [low, high]:
            return entries.integers(low, high - 1)
        case "lograndint", [low, high]:
            return entries.integers(low, high - 1, log=True)
        case "qrandint", [low, high, q]:
            return entries.quantised(low, high, q)
        case "randn" | "qrandn", [mean, deviation, *rest]:
            made.note(
                f"{path}: {kind} is written as a range, {entries.DEVIATIONS} standard deviations to each side"
            )
            return entries.normal(mean, deviation, rest[0] if rest else None)
    raise ImportFault(f"config.{path}: tune.{kind} is not known here. Write a range or choices")


def _objective(given: Mapping[str, Any], made: Draft) -> tuple[str, str]:
    config = given.get("tune_config") or {}
    config = config if isinstance(config, Mapping) else {}
    metric, mode = given.get("metric") or config.get("metric"), given.get("mode") or config.get("mode")
    if metric:
        return str(metric), "minimize" if mode == "min" else "maximize"
    stop = given.get("stop")
    for name in map(str, stop if isinstance(stop, Mapping) else ()):
        if name not in (*LENGTHS, "time_total_s"):
            direction = "minimize" if "loss" in name else "maximize"
            made.note(f"metric: the file names none; {name} stands in `stop`, and is to be {direction}d")
            return str(name), direction
    made.note("metric: the file names none, episode_reward_mean to be maximized is a guess")
    return "episode_reward_mean", "maximize"


def _stop(given: Any, metric: str, made: Draft) -> None:
    if not isinstance(given, Mapping):
        return
    for name, value in given.items():
        if name in LENGTHS and "trial" not in made.values:
            made.put(
                "trial",
                {"length": {"examples": entries.whole(f"stop.{name}", value)}},
                f"stop.{name}: count `examples` in them too",
            )
        elif name == metric:
            target = entries.number(f"stop.{name}", value)
            made.put("stop", {"target": target}, "one trial that is so good ends the study")
        elif name == "time_total_s":
            seconds = entries.positive(f"stop.{name}", value)
            made.put("trial", {**made.values.get("trial", {}), "timeout": f"{seconds:g}s"})
        else:
            made.note(f"stop.{name}: is left out")
