"""The value of a global name, written as Python that has it again in another process."""

from __future__ import annotations

import ast
import hashlib
import math
import sys
from collections.abc import Iterable
from pathlib import PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

HERE = ("__main__", "__mp_main__", "builtins")
"""Modules that another process has not, or has anyway."""

MAX_TEXT = 100_000
"""Longer literals are data, and belong in a file."""

MAX_ARRAY_BYTES = 200_000_000
"""All arrays of one task together."""


def importing(name: str, value: Any, submodules: Iterable[str] = ()) -> list[str] | None:
    """Import statements that give `name` its value; None where no module has it.

    `submodules` are dotted names that are read of a module.
    """
    if isinstance(value, ModuleType):
        return _of_module(name, value, submodules)
    module = getattr(value, "__module__", None)
    for inner in (getattr(value, "__qualname__", None), getattr(value, "__name__", None), name):
        if isinstance(module, str) and isinstance(inner, str) and _has(module, inner, value):
            return [_from(module, inner, name)]
    if isinstance(value, type) or callable(value) or _is_plain(value):
        return None
    for place, known in list(sys.modules.items()):  # an object that some module made
        if place not in HERE and getattr(known, "__dict__", {}).get(name) is value:
            return [_from(place, name, name)]
    return None


def literal(name: str, value: Any) -> list[str] | None:
    """Statements that write a plain value or a path; None where it is neither."""
    if isinstance(value, PurePath):
        return ["import pathlib", f"{name} = pathlib.Path({str(value)!r})"]
    if isinstance(value, float) and not math.isfinite(value):
        return [f"{name} = float({str(value)!r})"]
    text = repr(value) if _is_plain(value) else ""
    if not text or len(text) > MAX_TEXT:
        return None
    try:
        same = ast.literal_eval(text) == value
    except (ValueError, SyntaxError, RecursionError):
        return None
    return [f"{name} = {text}"] if same else None


def as_array(value: Any) -> np.ndarray[Any, Any] | None:
    """A NumPy or MLX array as NumPy's; None where it is none, or holds what no file can."""
    import numpy as np

    if is_mlx(value):
        try:
            return np.array(value, copy=True)
        except (RuntimeError, TypeError, ValueError):  # bfloat16 has no type there
            return None
    is_numbers = isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject
    return np.asarray(value) if is_numbers else None


def is_mlx(value: Any) -> bool:
    """Whether a value is an MLX array; MLX is not imported to know that."""
    return type(value).__module__ == "mlx.core" and type(value).__name__ == "array"


def is_number(value: Any) -> bool:
    """Whether a value is one number of NumPy's, such as a mean."""
    import numpy as np

    return isinstance(value, np.generic)


def fingerprint(array: np.ndarray[Any, Any]) -> str:
    """SHA-256 of an array's type, shape and numbers."""
    head = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()


def _of_module(name: str, module: ModuleType, submodules: Iterable[str]) -> list[str] | None:
    place = module.__name__
    if place in HERE or getattr(module, "__spec__", None) is None:
        return None
    first = f"import {place}" if place == name else f"import {place} as {name}"
    inner = sorted(f"{place}.{each}" for each in submodules)
    return [first, *(f"import {each}" for each in inner if isinstance(sys.modules.get(each), ModuleType))]


def _has(module: str, inner: str, value: Any) -> bool:
    return module not in HERE and getattr(sys.modules.get(module), "__dict__", {}).get(inner) is value


def _from(module: str, inner: str, name: str) -> str:
    return f"from {module} import {inner}" + (f" as {name}" if inner != name else "")


def _is_plain(value: Any) -> bool:
    return value is None or type(value) in (
        bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset,
    )  # fmt: skip
