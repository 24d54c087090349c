"""Hyperparameters as the arguments of a command, in the ways that other tools pass them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Argument = str | list[str]


def options(names: Iterable[str], *, dashes: str = "--") -> list[Argument]:
    """`--name={name}` for each."""
    return [f"{dashes}{name}={{{name}}}" for name in names]


def escaped(text: str) -> str:
    """An argument in which braces are no placeholders."""
    return text.replace("{", "{{").replace("}", "}}")


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings by names with dots."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
