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
    _config(given.get("config") or given.get("param_space") or {}, space, fixed, made)
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
    is_grid = all("choices" in each for each in space.values())
    made.put("sampler", {"name": "grid" if is_grid else "random"})
    samples = int(given.get("num_samples") or (given.get("tune_config") or {}).get("num_samples") or 1)
    grid = math.prod(len(each["choices"]) for each in space.values()) if is_grid else 1
    if is_grid and samples > 1:
        made.put(
            "trial", {**made.values.get("trial", {}), "replicates": samples}, "num_samples: each point again"
        )
    made.put("budget", {"trials": grid if is_grid else samples})
    for key in given.keys() - READ:
        made.note(f"{key}: is left out, a study file has nothing like it")
    return made


def _config(
    given: Mapping[str, Any],
    space: dict[str, entries.Entry],
    fixed: dict[str, Any],
    made: Draft,
    prefix: str = "",
) -> None:
    for name, each in given.items():
        path = f"{prefix}{name}"
        if isinstance(each, Mapping) and isinstance(listed := each.get("grid_search"), list):
            _grid(path, listed, space, fixed, made)
        elif isinstance(each, Mapping) and each:
            _config(each, space, fixed, made, f"{path}.")
        elif isinstance(each, str) and (found := CALL.match(each)):
            space[path] = _call(path, found[1], found[2], made)
        elif isinstance(each, list | Mapping):
            made.note(f"{path}: a list stays in the program, or is written as text")
            fixed[path] = str(each)
        else:
            fixed[path] = each


def _grid(
    path: str, listed: list[Any], space: dict[str, entries.Entry], fixed: dict[str, Any], made: Draft
) -> None:
    if any(isinstance(each, list | Mapping) for each in listed):
        made.note(f"{path}: lists and mappings are written as text, which the program reads")
    found = entries.choices([str(each) if isinstance(each, list | Mapping) else each for each in listed])
    if len(found["choices"]) == 1:
        fixed[path] = found["choices"][0]
    else:
        space[path] = found


def _call(path: str, kind: str, text: str, made: Draft) -> entries.Entry:
    """tune.uniform(0, 1), tune.loguniform(1e-4, 1e-1), tune.randint(1, 10), tune.choice([1, 2])."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        assert isinstance(call, ast.Call)
        values = [ast.literal_eval(each) for each in call.args]
        values += [ast.literal_eval(each.value) for each in call.keywords if each.arg != "base"]
    except (SyntaxError, ValueError):
        raise ImportFault(
            f"config.{path}: tune.{kind}({text}) is not made of numbers. Write them out"
        ) from None
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
    metric, mode = given.get("metric") or config.get("metric"), given.get("mode") or config.get("mode")
    if metric:
        return str(metric), "minimize" if mode == "min" else "maximize"
    for name in given.get("stop") or {}:
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
                "trial", {"length": {"examples": int(value)}}, f"stop.{name}: count `examples` in them too"
            )
        elif name == metric:
            made.put("stop", {"target": value}, "one trial that is so good ends the study")
        elif name == "time_total_s":
            made.put("trial", {**made.values.get("trial", {}), "timeout": f"{float(value):g}s"})
        else:
            made.note(f"stop.{name}: is left out")
