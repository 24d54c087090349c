"""mlx-lm's optimizer, its configuration and its schedule as the training core's hyperparameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import mlx.optimizers

from train_core.hyperparameters import OPTIMIZERS

Fail = Callable[[tuple[str | int, ...], str], NoReturn]

MLX_LM_S = ("adam", "adamw", "muon", "sgd", "adafactor")
"""The optimizers that mlx-lm's configuration knows."""

CALLED = {"eps": "optimizer_eps"}
"""MLX's name of an optimizer's number -> the core's, where they differ."""

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "cosine_decay": ("init", "decay_steps", "end"),
    "linear_schedule": ("init", "end", "steps"),
    "exponential_decay": ("init", "decay_rate"),
    "step_decay": ("init", "decay_rate", "step_size"),
}
"""MLX's schedules and what they are called with, by position."""

OPTIONAL = {"cosine_decay": {"end": 0.0}}


def core(values: Mapping[str, Any], given: Mapping[str, Any], fail: Fail) -> dict[str, Any]:
    """What a configuration says of optimizer and rate, but for what a trial is `given`, which counts more."""
    schedule = _schedule(values.get("lr_schedule"), fail)
    if "schedule" in given:  # the study has one of its own
        schedule = {key: value for key, value in schedule.items() if key == "learning_rate"}
    elif {"warmup_fraction", "warmup_updates"} & given.keys():  # or the warm-up alone
        schedule = {key: value for key, value in schedule.items() if not key.startswith("warmup_")}
    return {"learning_rate": values.get("learning_rate", 1e-5)} | schedule | _optimizer(values, given, fail)


def _optimizer(values: Mapping[str, Any], given: Mapping[str, Any], fail: Fail) -> dict[str, Any]:
    named = values.get("optimizer", "adam")
    if not isinstance(named, str) or named.lower() not in MLX_LM_S:
        fail(("optimizer",), f"must be one of {', '.join(MLX_LM_S)}, got {named!r}")
    name = given.get("optimizer", named.lower())
    made: dict[str, Any] = {"optimizer": name}
    if name not in OPTIMIZERS:  # which the core says
        return made
    if name in ("adam", "adamw"):
        made["bias_correction"] = False  # MLX's default
    config = values.get("optimizer_config", {})
    if not isinstance(config, dict) or not all(isinstance(each or {}, dict) for each in config.values()):
        fail(
            ("optimizer_config",),
            "not optimizers with keys and values, such as {adamw: {weight_decay: 0.01}}",
        )
    if name == "adafactor" and "optimizer" not in given:
        _check_adafactor(config.get(name) or {}, fail)
    known = inspect.signature(getattr(mlx.optimizers, OPTIMIZERS[name].class_name)).parameters
    for key, value in (config.get(name) or {}).items():
        made |= _number(name, key, value, known, fail)
    return made


def _check_adafactor(config: Mapping[str, Any], fail: Fail) -> None:
    """MLX's has a rate of its own by default, which the training core's has not."""
    if config.get("relative_step", True) is not False:
        hint = "add optimizer_config: {adafactor: {relative_step: false}}"
        fail(("optimizer",), f"adafactor would not use learning_rate, and the training core's does; {hint}")


def _number(
    name: str, key: str, value: Any, known: Mapping[str, inspect.Parameter], fail: Fail
) -> dict[str, Any]:
    """One entry of an optimizer's configuration by the core's name; {} for what the core does anyway."""
    path = ("optimizer_config", name, key)
    if key not in known or key == "learning_rate":
        others = ", ".join(each for each in known if each != "learning_rate")
        fail(path, f"MLX's {name} has no such number; it has {others}")
    if key in ("betas", "momentum", "weight_decay", "eps", "bias_correction") and name != "adafactor":
        return {CALLED.get(key, key): ", ".join(map(str, value)) if isinstance(value, list) else value}
    if value != (False if key == "relative_step" else known[key].default):
        fail(path, "is fixed in the training core; leave it out")
    return {}


def _schedule(found: Any, fail: Fail) -> dict[str, Any]:
    """MLX's schedule by the core's names: it ends after as many updates as stand here."""
    if not found:
        return {}
    path = ("lr_schedule",)
    if not isinstance(found, dict) or str(found.get("name")) not in ARGUMENTS:
        fail(path, f"its name must be one of {', '.join(ARGUMENTS)}; leave it out for a constant rate")
    for key in found:
        if key not in ("name", "arguments", "warmup", "warmup_init"):
            fail((*path, key), "mlx-lm has no such key; there are name, arguments, warmup, warmup_init")
    name = found["name"]
    numbers = _arguments(name, found.get("arguments"), fail)
    rate = numbers["init"]
    if rate <= 0:
        fail((*path, "arguments"), f"the first is the rate, which must be above 0, got {rate}")
    made = {"learning_rate": rate} | _shape(name, numbers, rate)
    if warmup := found.get("warmup", 0):
        start = found.get("warmup_init") or 0.0
        if not isinstance(start, int | float):
            fail((*path, "warmup_init"), f"must be a number, got {start!r}")
        made |= {"warmup_updates": warmup, "warmup_start": start / rate}
    return made


def _arguments(name: str, given: Any, fail: Fail) -> dict[str, float]:
    wanted, optional = ARGUMENTS[name], OPTIONAL.get(name, {})
    path = ("lr_schedule", "arguments")
    listed = given if isinstance(given, list) else []
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in listed)
    if not numbers or not len(wanted) - len(optional) <= len(listed) <= len(wanted):
        fail(path, f"must be the numbers [{', '.join(wanted)}] of {name}, got {given!r}")
    return optional | dict(zip(wanted, listed, strict=False))


def _shape(name: str, numbers: Mapping[str, float], rate: float) -> dict[str, Any]:
    match name:
        case "cosine_decay":
            end, updates = numbers["end"], numbers["decay_steps"]
            return {"schedule": "cosine", "schedule_end": end / rate, "schedule_updates": int(updates)}
        case "linear_schedule":
            end, updates = numbers["end"], numbers["steps"]
            return {"schedule": "linear", "schedule_end": end / rate, "schedule_updates": int(updates)}
        case "exponential_decay":
            return {"schedule": "exponential", "schedule_decay": numbers["decay_rate"]}
        case _:
            decay, updates = numbers["decay_rate"], numbers["step_size"]
            return {"schedule": "step", "schedule_decay": decay, "schedule_updates": int(updates)}
