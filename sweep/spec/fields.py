"""What one value of a study file may be: the types that sections are made of, and what each accepts.

Every type says twice what it accepts: to pydantic by a validator, whose words a person reads, and to editors
as JSON Schema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    PlainValidator,
    ValidationError,
)

from configfile import nearest
from configfile.quantities import format_duration, format_size, parse_duration, parse_size
from configfile.validation import broken, quantity
from sweep.vocabulary.trial import Scalar


def _amount(value: object) -> object:
    """A number, a size in bytes or a duration in seconds."""
    if not isinstance(value, str):
        return value
    for parse in (parse_size, parse_duration):
        with suppress(ValueError):
            return float(parse(value))
    raise broken("must be a number, a size such as 8 GB or a duration such as 10m")


SCALAR_RULE = "must be one finite number, word, true, false or null"


def is_scalar(value: object) -> bool:
    """Whether a value can be a hyperparameter: true, false, null, a word or a finite number."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def _scalar(value: Scalar) -> Scalar:
    if not is_scalar(value):
        raise broken(SCALAR_RULE)
    return value


def _count_or_auto(value: object) -> object:
    if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise broken("must be an integer of at least 1, or auto")
    return value


def matching(pattern: str, rule: str) -> BeforeValidator:
    """Text that matches as a whole; `rule` says in words what that means."""

    def validate(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value, re.ASCII):
            raise broken(rule)
        return value

    return BeforeValidator(validate, json_schema_input_type=_text(pattern))


def _text(pattern: str) -> Any:
    return Annotated[str, Field(json_schema_extra={"pattern": f"^(?:{pattern})$"})]


_NAME_RULE = (
    "must be a folder name of at most 100 letters, digits, `_`, `-`, `.`, not starting with `-` or `.`"
)
_TASK_RULE = "must be `file.py:Class`, a file in this one's folder or below, or `package.module:Class`"

Name = Annotated[str, matching(r"\w[\w.-]{0,99}", _NAME_RULE)]
_TASK_FILE = r"(?:(?!\.\.?/)[^/:\0\\]+/)*[^/:\0\\]+\.py"
_TASK_MODULE = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_CLASS = rf"{_TASK_MODULE}:[A-Za-z_]\w*"
TaskPath = Annotated[str, matching(rf"(?:{_TASK_FILE}|{_TASK_MODULE}):[A-Za-z_]\w*", _TASK_RULE)]
_TwoNumbers = Annotated[list[float], Field(min_length=2, max_length=2, description="Of betas only.")]
_Factors = Annotated[dict[str, float | str], Field(description="Of rate_factors and decay_factors only.")]
Value = Annotated[Scalar, PlainValidator(_scalar, json_schema_input_type=Scalar | _TwoNumbers | _Factors)]
MAX_COUNT = 2**53
"""Above it Optuna, and every reader of JSON, rounds integers."""

Whole = Annotated[int, Field(ge=-MAX_COUNT, le=MAX_COUNT)]
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
CountOrAuto = Annotated[
    int | Literal["auto"],
    BeforeValidator(_count_or_auto, json_schema_input_type=Count | Literal["auto"]),
]
Amount = Annotated[float, BeforeValidator(_amount, json_schema_input_type=float | str)]
Seconds = Annotated[float, quantity(parse_duration, "10m"), PlainSerializer(format_duration)]
Bytes = Annotated[int, quantity(parse_size, "2 GB"), PlainSerializer(format_size)]


class Section(BaseModel):
    """A mapping of the study file."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, protected_namespaces=(), use_attribute_docstrings=True
    )


class Interval(Section):
    """The values from `low` to `high`, both included; an end left out is open."""

    low: FiniteFloat | None = None
    high: FiniteFloat | None = None


Condition = Scalar | tuple[Scalar, ...] | Interval
"""What another hyperparameter must be: a value, one of several, or within an interval."""


def _condition(value: object) -> Condition:
    match value:
        case None | bool() | int() | float() | str() if is_scalar(value):
            return value
        case list() if value and all(is_scalar(item) for item in value):
            return tuple(value)
        case dict() if value:
            try:
                return Interval.model_validate(value)
            except ValidationError as error:
                raise broken(_CONDITION_RULE) from error
        case tuple() | Interval():
            return value
    raise broken(_CONDITION_RULE)


_CONDITION_RULE = "must be a value, a list of values or {low: number, high: number}"


def _condition_values(condition: Condition) -> object:
    match condition:
        case Interval():
            return condition.model_dump(exclude_none=True)
        case tuple():
            return list(condition)
        case _:
            return condition


When = Mapping[
    str,
    Annotated[
        Condition,
        PlainValidator(_condition, json_schema_input_type=Scalar | list[Scalar] | Interval),
        PlainSerializer(_condition_values),
    ],
]


_HUB = r"optunahub:\w+(?::\w+)?"


def class_name(known: tuple[str, ...], *, hub: bool = False) -> BeforeValidator:
    """One of Optuna's by the names above, any class that can be imported, or one of OptunaHub's."""
    pattern = rf"{_CLASS}|{_HUB}" if hub else _CLASS
    others = "package.module:Class, or optunahub:NAME" if hub else "or package.module:Class"

    def validate(value: object) -> object:
        if isinstance(value, str) and value not in known and not re.fullmatch(pattern, value, re.ASCII):
            rule = f"must be one of {', '.join(known)}, {others}"
            raise broken(rule, nearest.remedy(value, known))
        return value

    return BeforeValidator(validate, json_schema_input_type=Literal[known] | _text(pattern))
