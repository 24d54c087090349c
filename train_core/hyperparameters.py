"""The names the core knows, what each may be, their defaults, and which of them shape the compiled program.

Plain Python: nothing here imports mlx. `split` sorts one trial's hyperparameters into the static
ones (Python values that shape the graph, one program each) and the dynamic ones (array inputs of
the program: changing one never compiles again).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from train_core.errors import HyperparameterError

Scalar = bool | int | float | str | None
"""What a hyperparameter can be; `betas` may also be a sequence of two numbers."""

PRECISIONS = ("float32", "float16", "bfloat16")
SCHEDULES = ("constant", "linear", "cosine", "exponential", "step")


@dataclass(frozen=True)
class OptimizerFacts:
    """An optimizer's class in `mlx.optimizers` and the defaults it brings, those that it does not use too.

    `elementwise` says that it treats every number by itself, whatever leaf it is in.
    """

    class_name: str
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.0
    weight_decay: float = 0.0
    eps: float = 1e-8
    elementwise: bool = True


OPTIMIZERS: Mapping[str, OptimizerFacts] = {
    "adadelta": OptimizerFacts("AdaDelta", eps=1e-6),
    "adafactor": OptimizerFacts("Adafactor", elementwise=False),
    "adagrad": OptimizerFacts("Adagrad"),
    "adam": OptimizerFacts("Adam"),
    "adamax": OptimizerFacts("Adamax"),
    "adamw": OptimizerFacts("AdamW", weight_decay=0.01),
    "lion": OptimizerFacts("Lion", betas=(0.9, 0.99)),
    "muon": OptimizerFacts("Muon", momentum=0.95, weight_decay=0.01, elementwise=False),
    "rmsprop": OptimizerFacts("RMSprop"),
    "sgd": OptimizerFacts("SGD"),
}


@dataclass(frozen=True)
class Words:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def rule(self) -> str:
        return f"one of {', '.join(self.words)}"

    def accepts(self, value: object) -> bool:
        return isinstance(value, str) and value in self.words


@dataclass(frozen=True)
class Numbers:
    """Numbers between two ends; `or_null` where null turns the feature off."""

    low: float
    high: float = math.inf
    low_included: bool = True
    high_included: bool = True
    integer: bool = False
    or_null: bool = False

    @property
    def rule(self) -> str:
        kind = "an integer" if self.integer else "a number"
        low, high = f"{self.low:.10g}", f"{self.high:.10g}"
        if self.high == math.inf:
            ends = f"of at least {low}" if self.low_included else f"above {low}"
        elif self.integer:
            ends = f"from {low} to {high}"
        else:
            ends = f"in {'[' if self.low_included else '('}{low}, {high}{']' if self.high_included else ')'}"
        return f"{kind} {ends}" + (", or null for none" if self.or_null else "")

    def accepts(self, value: object) -> bool:
        if value is None:
            return self.or_null
        if isinstance(value, bool) or not isinstance(value, int if self.integer else int | float):
            return False
        above = value >= self.low if self.low_included else value > self.low
        below = value <= self.high if self.high_included else value < self.high
        return above and below and value < math.inf


@dataclass(frozen=True)
class Pair:
    """Two numbers in [0, 1)."""

    rule: str = "two numbers in [0, 1), such as [0.9, 0.999]"

    def accepts(self, value: object) -> bool:
        return pair_of(value) is not None


@dataclass(frozen=True)
class Flag:
    """True or false, of which a program takes 1 or 0."""

    rule: str = "true or false"

    def accepts(self, value: object) -> bool:
        return isinstance(value, bool)


Factor = str | float
"""A number, or the name of a dynamic hyperparameter."""


@dataclass(frozen=True)
class Factors:
    """Patterns of parameters' paths, each with a factor; a mapping, or text as a program's static value."""

    rule: str = "patterns with factors, numbers or names of hyperparameters, such as '*.bias: 0, *norm*: 0.5'"

    def accepts(self, value: object) -> bool:
        return value is None or factors_of(value) is not None


Values = Words | Numbers | Pair | Flag | Factors

LARGEST_EXACT = 2**24
"""Up to here float32, in which programs take dynamic values, holds every integer."""

_WHOLE = Numbers(1, LARGEST_EXACT, integer=True)
_RATE = Numbers(0, 1, high_included=False)
_UPDATES = Numbers(0, LARGEST_EXACT, integer=True)

VALUES: Mapping[str, Values] = {
    "accumulation_steps": _WHOLE,
    "betas": Pair(),
    "decay_factors": Factors(),
    "bias_correction": Flag(),
    "dropout": _RATE,
    "gradient_clip": Numbers(0, or_null=True),
    "learning_rate": Numbers(0),
    "micro_batch_size": _WHOLE,
    "momentum": _RATE,
    "optimizer": Words(tuple(OPTIMIZERS)),
    "optimizer_eps": Numbers(0),
    "precision": Words(PRECISIONS),
    "rate_factors": Factors(),
    "schedule": Words(SCHEDULES),
    "schedule_decay": Numbers(0, 1, low_included=False),
    "schedule_end": Numbers(0),
    "schedule_updates": _UPDATES,
    "warmup_fraction": Numbers(0, 1),
    "warmup_start": Numbers(0, 1),
    "warmup_updates": _UPDATES,
    "weight_decay": Numbers(0),
}
"""The names that the core understands, and the values that each may have."""

CORE = tuple(VALUES)

LENGTH = ("epochs", "examples", "updates")
"""Names that say how long a run trains, in their unit; a program takes none of them."""

STATIC = ("decay_factors", "micro_batch_size", "optimizer", "precision", "rate_factors")
"""Core names whose value is part of the program."""

SWITCHES = ("gradient_clip",)
"""Core names of which only on or off is part of the program; None, False, 0 and absence mean off."""

DYNAMIC = tuple(name for name in CORE if name not in (*STATIC, *SWITCHES))
"""Core names that are array inputs of the program."""

DEFAULTS: Mapping[str, Scalar] = {
    "accumulation_steps": 1,
    "bias_correction": True,
    "decay_factors": None,
    "dropout": 0.0,
    "gradient_clip": None,
    "learning_rate": 1e-3,
    "micro_batch_size": 32,
    "optimizer": "adamw",
    "precision": "float32",
    "rate_factors": None,
    "schedule": "constant",
    "schedule_decay": 1.0,
    "schedule_end": 0.0,
    "schedule_updates": 0,
    "warmup_fraction": 0.0,
    "warmup_start": 0.0,
    "warmup_updates": 0,
}
"""Defaults that no optimizer changes; those of betas, eps, momentum and weight_decay are in OPTIMIZERS."""


@dataclass(frozen=True)
class Static:
    """The static hyperparameters: equal ones share a compiled program.

    `task` holds the task's own static values, sorted by name; the factors are texts, "" for none.
    """

    precision: str = "float32"
    optimizer: str = "adamw"
    micro_batch_size: int = 32
    gradient_clip: bool = False
    rate_factors: str = ""
    decay_factors: str = ""
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
    optimizer = _checked("optimizer", given["optimizer"])
    facts = OPTIMIZERS[optimizer]
    given = {
        "betas": facts.betas,
        "momentum": facts.momentum,
        "optimizer_eps": facts.eps,
        "weight_decay": facts.weight_decay,
    } | given
    clip = _threshold(given["gradient_clip"])
    static = Static(
        precision=_checked("precision", given["precision"]),
        optimizer=optimizer,
        micro_batch_size=_checked("micro_batch_size", given["micro_batch_size"]),
        gradient_clip=clip > 0,
        rate_factors=_factors_text("rate_factors", given["rate_factors"]),
        decay_factors=_factors_text("decay_factors", given["decay_factors"]),
        task=tuple((name, _scalar(name, given[name])) for name in sorted(task_static)),
    )
    dynamic = _core_dynamic(given, clip) | _task_dynamic(given, task_static)
    _check_named(static, dynamic)
    return static, dynamic


def _core_dynamic(given: Mapping[str, object], clip: float) -> dict[str, float]:
    beta_1, beta_2 = _betas(given["betas"])
    schedule = SCHEDULES.index(_checked("schedule", given["schedule"]))
    numbers = {
        name: float(_checked(name, given[name]))
        for name in DYNAMIC
        if isinstance(VALUES[name], Numbers | Flag)
    }
    _check_schedule(str(given["schedule"]), numbers)
    return {
        **numbers,
        "beta_1": beta_1,
        "beta_2": beta_2,
        "schedule": float(schedule),
        "gradient_clip": clip,
    }


def _check_schedule(schedule: str, numbers: Mapping[str, float]) -> None:
    """Refuse numbers that the schedule needs and has not, or that say one thing twice."""
    if schedule in ("exponential", "step") and numbers["schedule_decay"] == 1:
        raise HyperparameterError(f"schedule {schedule} needs schedule_decay below 1; add it")
    if schedule == "step" and numbers["schedule_updates"] == 0:
        raise HyperparameterError("schedule step needs schedule_updates, the updates of a step; add it")
    if numbers["warmup_updates"] and numbers["warmup_fraction"]:
        raise HyperparameterError("warmup_updates and warmup_fraction both say the warm-up; keep one")


def _task_dynamic(given: Mapping[str, object], task_static: tuple[str, ...]) -> dict[str, float]:
    dynamic = {}
    for name in sorted(set(given) - {*CORE, *LENGTH, *task_static}):
        value = given[name]
        if not isinstance(value, int | float):
            raise HyperparameterError(
                f'{name} = {value!r} is not a number, so it cannot be dynamic; add "{name}" to `static` '
                f"in the task, or correct the name: the core's are {', '.join(CORE)}"
            )
        if not is_carried(value):
            _fail(
                name, "a number that float32 holds, as it is dynamic; add it to `static` in the task", value
            )
        dynamic[name] = float(value)
    return dynamic


def is_carried(value: int | float) -> bool:
    """Whether float32, in which programs take it, holds the value: integers exactly, others finitely."""
    try:
        (single,) = struct.unpack("f", struct.pack("f", value))
    except OverflowError:
        return False
    if isinstance(value, int):
        return bool(single == value)
    return math.isfinite(single) and (single != 0 or value == 0)


def pair_of(value: object) -> tuple[float, float] | None:
    """Two numbers in [0, 1), as a sequence or as text with a comma; None for anything else."""
    pair = value.split(",") if isinstance(value, str) else value
    try:
        first, second = (float(each) for each in pair)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return None
    return (first, second) if 0 <= first < 1 and 0 <= second < 1 else None


def factors_of(value: object) -> dict[str, Factor] | None:
    """Patterns and factors of at least 0, from a mapping or text with commas; None for anything else."""
    if isinstance(value, Mapping):
        pairs = [(pattern, str(factor)) for pattern, factor in value.items()]
    elif isinstance(value, str) and value.strip():
        pairs = [tuple(part.rpartition(":")[::2]) for part in value.split(",")]  # type: ignore[misc]
    else:
        return None
    found: dict[str, Factor] = {}
    for pattern, factor in pairs:
        factor = factor.strip()
        try:
            found[str(pattern).strip()] = float(factor)
        except ValueError:
            if not factor.isidentifier():
                return None
            found[str(pattern).strip()] = factor
    numbers = [factor for factor in found.values() if not isinstance(factor, str)]
    return found if "" not in found and all(0 <= each < math.inf for each in numbers) else None


def _factors_text(name: str, value: object) -> str:
    """Factors as one text, the same for all that mean the same."""
    found = factors_of(_checked(name, value)) or {}
    return ", ".join(f"{pattern}: {factor}" for pattern, factor in found.items())


def _check_named(static: Static, dynamic: Mapping[str, float]) -> None:
    """Refuse factors that name no number of the trial."""
    for key in ("rate_factors", "decay_factors"):
        for factor in (factors_of(getattr(static, key)) or {}).values():
            if isinstance(factor, str) and factor not in dynamic:
                raise HyperparameterError(
                    f"{key}: {factor} is no number of the trial. Write it in `space` or `fixed`"
                )


def _fail(name: str, rule: str, found: object) -> NoReturn:
    raise HyperparameterError(f"{name} must be {rule}, got {found!r}")


def _checked(name: str, value: object) -> Any:
    """The value where the core understands it; a whole float counts as an integer."""
    values = VALUES[name]
    if isinstance(values, Numbers) and values.integer and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not values.accepts(value) or (isinstance(value, float) and not is_carried(value)):
        _fail(name, values.rule, value)
    return value


def _threshold(value: object) -> float:
    return 0.0 if value is None or value is False else float(_checked("gradient_clip", value))


def _betas(value: object) -> tuple[float, float]:
    pair = pair_of(value)
    if pair is None:
        _fail("betas", VALUES["betas"].rule, value)
    return pair


def _scalar(name: str, value: object) -> Scalar:
    if value is not None and not isinstance(value, bool | int | float | str):
        _fail(name, "a static value that is a number, a string, a boolean or null", value)
    return value
