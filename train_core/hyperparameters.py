"""The names the core knows, their defaults, and which of them shape the compiled program.

Plain Python: nothing here imports mlx. `split` sorts one trial's hyperparameters into the static
ones (Python values that shape the graph, one program each) and the dynamic ones (array inputs of
the program: changing one never compiles again).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from train_core.errors import HyperparameterError

Scalar = bool | int | float | str | None
"""What a hyperparameter can be; `betas` may also be a sequence of two numbers."""

PRECISIONS = ("float32", "float16", "bfloat16")
SCHEDULES = ("constant", "linear", "cosine")


@dataclass(frozen=True)
class OptimizerFacts:
    """An optimizer's class in `mlx.optimizers` and the defaults it brings."""

    class_name: str
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.0
    weight_decay: float = 0.0


OPTIMIZERS: Mapping[str, OptimizerFacts] = {
    "adadelta": OptimizerFacts("AdaDelta"),
    "adafactor": OptimizerFacts("Adafactor"),
    "adagrad": OptimizerFacts("Adagrad"),
    "adam": OptimizerFacts("Adam"),
    "adamax": OptimizerFacts("Adamax"),
    "adamw": OptimizerFacts("AdamW", weight_decay=0.01),
    "lion": OptimizerFacts("Lion", betas=(0.9, 0.99)),
    "muon": OptimizerFacts("Muon", momentum=0.95, weight_decay=0.01),
    "rmsprop": OptimizerFacts("RMSprop"),
    "sgd": OptimizerFacts("SGD"),
}

STATIC = ("micro_batch_size", "optimizer", "precision")
"""Core names whose value is part of the program."""

SWITCHES = ("gradient_clip",)
"""Core names of which only on or off is part of the program; None, False, 0 and absence mean off."""

DYNAMIC = (
    "learning_rate",
    "accumulation_steps",
    "weight_decay",
    "dropout",
    "betas",
    "momentum",
    "warmup_fraction",
    "schedule",
)
"""Core names that are array inputs of the program."""

CORE = tuple(sorted((*STATIC, *SWITCHES, *DYNAMIC)))

DEFAULTS: Mapping[str, Scalar] = {
    "accumulation_steps": 1,
    "dropout": 0.0,
    "gradient_clip": None,
    "learning_rate": 1e-3,
    "micro_batch_size": 32,
    "optimizer": "adamw",
    "precision": "float32",
    "schedule": "constant",
    "warmup_fraction": 0.0,
}
"""Defaults that no optimizer changes; those of betas, momentum and weight_decay are in OPTIMIZERS."""


@dataclass(frozen=True)
class Static:
    """The static hyperparameters: equal ones share a compiled program.

    `task` holds the task's own static values, sorted by name.
    """

    precision: str = "float32"
    optimizer: str = "adamw"
    micro_batch_size: int = 32
    gradient_clip: bool = False
    task: tuple[tuple[str, Scalar], ...] = ()


def split(
    hyperparameters: Mapping[str, object], task_static: tuple[str, ...]
) -> tuple[Static, dict[str, float]]:
    """Sort `hyperparameters`, filled up with defaults, into static and dynamic ones.

    Dynamic `betas` come out as `beta_1` and `beta_2`, `schedule` as its place in SCHEDULES,
    `gradient_clip` as its threshold (0 when off). Names the core does not know are the task's.
    Raises HyperparameterError.
    """
    given = {**DEFAULTS, **hyperparameters}
    missing = [name for name in task_static if name not in given]
    if missing:
        raise HyperparameterError(
            f"the task's static {missing[0]!r} has no value; found {sorted(hyperparameters)}; "
            "give it one in `space` or `fixed`"
        )
    optimizer = _one_of("optimizer", given["optimizer"], tuple(OPTIMIZERS))
    facts = OPTIMIZERS[optimizer]
    given = {"betas": facts.betas, "momentum": facts.momentum, "weight_decay": facts.weight_decay} | given
    clip = _threshold(given["gradient_clip"])
    static = Static(
        precision=_one_of("precision", given["precision"], PRECISIONS),
        optimizer=optimizer,
        micro_batch_size=_count("micro_batch_size", given["micro_batch_size"]),
        gradient_clip=clip > 0,
        task=tuple((name, _scalar(name, given[name])) for name in sorted(task_static)),
    )
    return static, _core_dynamic(given, clip) | _task_dynamic(given, task_static)


def _core_dynamic(given: Mapping[str, object], clip: float) -> dict[str, float]:
    beta_1, beta_2 = _betas(given["betas"])
    schedule = _one_of("schedule", given["schedule"], SCHEDULES)
    return {
        "learning_rate": _number("learning_rate", given["learning_rate"], low=0.0),
        "accumulation_steps": float(_count("accumulation_steps", given["accumulation_steps"])),
        "weight_decay": _number("weight_decay", given["weight_decay"], low=0.0),
        "dropout": _number("dropout", given["dropout"], low=0.0, below=1.0),
        "beta_1": beta_1,
        "beta_2": beta_2,
        "momentum": _number("momentum", given["momentum"], low=0.0, below=1.0),
        "warmup_fraction": _number("warmup_fraction", given["warmup_fraction"], low=0.0, high=1.0),
        "schedule": float(SCHEDULES.index(schedule)),
        "gradient_clip": clip,
    }


def _task_dynamic(given: Mapping[str, object], task_static: tuple[str, ...]) -> dict[str, float]:
    dynamic = {}
    for name in sorted(set(given) - set(CORE) - set(task_static)):
        value = given[name]
        if not isinstance(value, int | float):
            raise HyperparameterError(
                f'{name} = {value!r} is not a number, so it cannot be dynamic; add "{name}" to `static` '
                f"in the task, or correct the name: the core's are {', '.join(CORE)}"
            )
        dynamic[name] = float(value)
    return dynamic


def _fail(name: str, rule: str, found: object) -> NoReturn:
    raise HyperparameterError(f"{name} must be {rule}, got {found!r}")


def _one_of(name: str, value: object, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        _fail(name, f"one of {', '.join(known)}", value)
    return value


def _count(name: str, value: object) -> int:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    if not whole or value < 1:  # type: ignore[operator]
        _fail(name, "a whole number >= 1", value)
    return int(value)  # type: ignore[call-overload, no-any-return]


def _number(
    name: str, value: object, *, low: float, high: float = float("inf"), below: float = float("inf")
) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high or not value < below:  # type: ignore[operator]
        upper = f"<= {high}" if high < below else f"< {below}"
        _fail(name, f"a finite number >= {low}" if below == high else f"a number >= {low} and {upper}", value)
    return float(value)  # type: ignore[arg-type]


def _threshold(value: object) -> float:
    return 0.0 if value is None or value is False else _number("gradient_clip", value, low=0.0)


def _betas(value: object) -> tuple[float, float]:
    pair = value.split(",") if isinstance(value, str) else value
    try:
        beta_1, beta_2 = (float(beta) for beta in pair)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        _fail("betas", 'two numbers, as [0.9, 0.999] or "0.9, 0.999"', value)
    return _number("betas", beta_1, low=0.0, below=1.0), _number("betas", beta_2, low=0.0, below=1.0)


def _scalar(name: str, value: object) -> Scalar:
    if value is not None and not isinstance(value, bool | int | float | str):
        _fail(name, "a static value that is a number, a string, a boolean or null", value)
    return value
