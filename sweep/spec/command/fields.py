"""The types of the keys of a command: its arguments, patterns and environment."""

from __future__ import annotations

import re
import shlex
from typing import Annotated

from pydantic import BeforeValidator, Field

from configfile.validation import broken
from sweep.spec.command.template import Arguments
from sweep.spec.fields import is_scalar
from sweep.vocabulary.trial import Scalar

_RULE = 'must be a list of arguments, such as [python, train.py, --lr, "{learning_rate}"]'


def _arguments(value: object) -> object:
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            raise broken(f"cannot be split into arguments: {error}") from error
    if not isinstance(value, list | tuple) or not value:
        raise broken(_RULE)
    return tuple(_group(each) if isinstance(each, list | tuple) else _argument(each) for each in value)


def _group(value: list[object] | tuple[object, ...]) -> tuple[str, ...]:
    if not value:
        raise broken(_RULE)
    return tuple(map(_argument, value))


def _argument(value: object) -> str:
    if isinstance(value, dict):
        raise broken('holds a mapping where an argument should be. Put quotes around it: "{learning_rate}"')
    if not isinstance(value, str | int | float):
        raise broken(_RULE)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "\0" in text:
        raise broken("holds a character that no argument can have, \\0")
    return text


def _pattern(value: object) -> object:
    if not isinstance(value, str):
        raise broken("must be a regular expression, such as 'loss ([0-9.]+)'")
    try:
        found = re.compile(value)
    except re.error as error:
        raise broken(f"is no regular expression: {error}") from error
    if found.groups < 1:
        raise broken("has no group: put parentheses around the number, such as 'loss ([0-9.]+)'")
    return value


def _variable(value: object) -> object:
    if not is_scalar(value):
        raise broken("must be one word or number, or null to unset it")
    if isinstance(value, str) and "\0" in value:
        raise broken("holds a character that no variable can have, \\0")
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


_Argument = str | int | float | bool
CommandArguments = Annotated[
    Arguments,
    BeforeValidator(
        _arguments,
        json_schema_input_type=Annotated[list[_Argument | list[_Argument]], Field(min_length=1)] | str,
    ),
]
Pattern = Annotated[str, BeforeValidator(_pattern, json_schema_input_type=str)]
Variable = Annotated[str | None, BeforeValidator(_variable, json_schema_input_type=Scalar)]
