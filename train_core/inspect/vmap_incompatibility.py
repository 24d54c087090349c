"""Why a task cannot train in lanes: the operation that does not map, and the line that calls it.

Two lanes are trained for one micro-batch and compared with a run alone: MLX maps some operations
wrongly without an error. Where that fails, each call of MLX that the task makes is tried by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map

from train_core import numpy_boundary
from train_core.errors import TaskError
from train_core.inspect.probe import Probe
from train_core.step import step
from train_core.step.functional import flatten
from train_core.task import is_foreign, needs_a_value
from train_core.vmap.rules import over_lanes

TOLERANCE = 0.05
"""How far a lane may be from the run alone, relative to the largest element: rounding, not a wrong rule."""

_MODULES = (mx, mx.fast, mx.fft, mx.linalg)


@dataclass(frozen=True)
class _Call:
    """A call of a function of MLX by the task: its arguments, (positional, named), and its place."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    place: str


def find(probe: Probe) -> str | None:
    """Return why two lanes cannot train in one step, or None when they can.

    Raises TaskError for what fails at any width.
    """
    state, batch = probe.state(), probe.batch()

    def run() -> Any:
        return probe.step.micro_batch(state, probe.hp, batch, None)

    alone = run()
    mx.eval(alone)  # here, so that what fails at any width raises as the task's own error
    try:
        twice, hp, batches = _twice((state, probe.hp, batch))
        lanes = probe.step.micro_batch(twice, hp, batches, None, over=over_lanes)
        mx.eval(lanes, probe.step.update(lanes, hp))
    except TaskError as error:
        if needs_a_value(error):
            raise
        return str(error)
    except (ValueError, RuntimeError) as error:
        where = _culprit(run, str(error))
        return f"{where}: {error}" if where else str(error)
    wrong = _differing(probe.step.named(lanes), probe.step.named(alone))
    if wrong is None:
        return None
    where = _culprit(run, None)
    return (
        f"{where or wrong}: a lane comes out other than alone, so MLX maps an operation wrongly; assignments "
        "with a step (`x[::2] = value`) and mx.slice_update are known to be: use mx.where or mx.concatenate"
    )


def _leaves(tree: Any) -> list[tuple[str, Any]]:
    leaves: Any = tree_flatten(tree)
    return leaves  # type: ignore[no-any-return]


def _twice(tree: Any) -> Any:
    return tree_map(lambda leaf: mx.stack([leaf, leaf]), tree)


def _differing(lanes: Any, alone: Any) -> str | None:
    """Return the path of a leaf in which a lane differs from the run alone, by more than rounding."""
    rows = flatten(lanes)
    for path, leaf in flatten(alone).items():
        expected = numpy_boundary.to_numpy(leaf.astype(mx.float32))
        found = numpy_boundary.to_numpy(rows[path].astype(mx.float32))
        scale = abs(expected).max(initial=0.0)
        if not (abs(found - expected) <= TOLERANCE * scale).all() and scale < float("inf"):
            return path
    return None


def _culprit(run: Callable[[], Any], message: str | None) -> str | None:
    """Return the task's call that fails in lanes, or without a message comes out wrong, with its place."""
    calls: list[_Call] = []
    with _recording(calls):
        mx.eval(run())
    found = next((call.place for call in calls if _stops(call)), None)
    if found is None and message and "Depends" in message:
        return "mx.checkpoint, which must be called by that name for lanes to find it"
    return found


def _stops(call: _Call) -> bool:
    """Whether this call, or its gradient, cannot be mapped over two equal lanes or comes out wrong."""
    leaves = [leaf for _, leaf in _leaves(call.arguments) if isinstance(leaf, mx.array)]
    if not leaves:
        return False
    learned = [i for i, leaf in enumerate(leaves) if mx.issubdtype(leaf.dtype, mx.floating)]

    def forward(*arrays: mx.array) -> list[mx.array]:
        placed = iter(arrays)
        positional, named = tree_map(
            lambda leaf: next(placed) if isinstance(leaf, mx.array) else leaf, call.arguments
        )
        return [leaf for _, leaf in _leaves([call.function(*positional, **named)])]

    def backward(*arrays: mx.array) -> Any:
        def total(*arrays: mx.array) -> mx.array:
            outs = [out for out in forward(*arrays) if mx.issubdtype(out.dtype, mx.floating)]
            return sum((out.astype(mx.float32).sum() for out in outs), start=mx.array(0.0))

        return mx.grad(total, argnums=learned)(*arrays)

    for function in (forward, backward) if learned else (forward,):
        try:
            alone = function(*leaves)
            mx.eval(alone)
        except (ValueError, RuntimeError, TypeError):  # has no gradient: the task does not ask for one either
            continue
        try:
            lanes = over_lanes(function)(*_twice(leaves))
            mx.eval(lanes)
        except (ValueError, RuntimeError):
            return True
        if _differing({"": lanes}, {"": alone}) is not None:
            return True
    return False


@contextmanager
def _recording(calls: list[_Call]) -> Iterator[None]:
    """Note every call of a function of MLX that the task makes inside the block."""
    replaced = [
        (module, name, function)
        for module in _MODULES
        for name, function in vars(module).items()
        if callable(function) and not isinstance(function, type) and not name.startswith("_")
    ]
    for module, name, function in replaced:
        setattr(module, name, _noting(calls, module, name, function))
    try:
        yield
    finally:
        for module, name, function in replaced:
            setattr(module, name, function)


def _noting(calls: list[_Call], module: Any, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    # Looked up at the call: while lanes are tried a rule may stand in its place.
    def current(*arguments: Any, **named: Any) -> Any:
        return getattr(module, name)(*arguments, **named)

    def noting(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        place = _place(sys._getframe(1), f"{module.__name__.replace('mlx.core', 'mx')}.{name}")
        arrays = all(isinstance(leaf, mx.array) for _, leaf in _leaves([result]))
        if place is not None and arrays:
            calls.append(_Call(name, current, (arguments, named), place))
        return result

    return noting


def _place(frame: FrameType | None, called: str) -> str | None:
    """Return the operation, the layer it is in and the task's line; None where the call is not the task's."""
    layer = ""
    while frame is not None and frame.f_code.co_filename != step.__file__:
        file = frame.f_code.co_filename
        if is_foreign(file):
            owner = frame.f_locals.get("self")
            layer = f" in {type(owner).__name__}" if isinstance(owner, nn.Module) else layer
        else:
            return f"{file}:{frame.f_lineno}: {called}{layer}"
        frame = frame.f_back
    return None
