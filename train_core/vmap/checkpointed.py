"""Functions of whose calls only arguments and results are kept for the gradient, in lanes too; pure.

`mx.checkpoint` does not map over lanes, and what a function draws at random it draws under another key the
second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map

from train_core import keys
from train_core.vmap.custom import Axes, lanes_first

Function = Callable[..., Any]
Arrays = list[mx.array]

NAME = "checkpoint"


def late(function: Function) -> Function:
    """Return the function, checkpointed at each call by what stands in the place of `mx.checkpoint` then."""

    @wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        return mx.checkpoint(function)(*args, **named)

    return called


@contextmanager
def put_in(rule: Callable[[Function], Function]) -> Iterator[None]:
    """Run a block with a rule in the place of `mx.checkpoint`."""
    native = mx.checkpoint
    setattr(mx, NAME, rule)
    try:
        yield
    finally:
        setattr(mx, NAME, native)


def in_lanes(function: Function) -> Function:
    """`mx.checkpoint` in lanes."""
    return _checkpointed(function, _after_in_lanes)


def alone(function: Function) -> Function:
    """`mx.checkpoint` of a run that is not mapped."""
    return _checkpointed(function, mx.depends)


def _checkpointed(function: Function, after: Callable[[Arrays, Arrays], Arrays]) -> Function:
    """As `mx.checkpoint`; `after` gives arrays that are there only once the others are.

    Gradients reach the arrays among the arguments, in whatever containers.
    """

    @wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        given = [list(args), named]
        floats = [leaf for leaf in _leaves(given) if _is_float(leaf)]
        key = mx.random.randint(0, 2**31 - 1, (2,), mx.uint32)  # one for both times

        def run(floats: Arrays) -> Any:
            positional, by_name = _with_floats(given, floats)
            with keys.generator(key):
                return function(*positional, **by_name)

        def again(*floats: mx.array) -> Arrays:
            return [leaf for leaf in _leaves([run(list(floats))]) if _is_float(leaf)]

        def gradients(floats: Arrays, outs: Arrays) -> Arrays:
            # Without the wait the compiler would find both times equal, and keep the values of the first.
            found: Arrays = mx.vjp(again, after(floats, outs), outs)[1]
            return found

        result = run([mx.stop_gradient(each) for each in floats])
        kept = [leaf for leaf in _leaves([result]) if _is_float(leaf)]
        return _with_floats([result], _with_gradients(floats, kept, gradients))[0]

    return called


def _with_gradients(floats: Arrays, kept: Arrays, gradients: Callable[[Arrays, Arrays], Arrays]) -> Arrays:
    """Return what is `kept` of a call, whose `gradients` by `floats` that function computes."""
    count = len(floats)

    @mx.custom_function
    def results(*arrays: mx.array) -> Arrays:
        return list(arrays[count:])

    @results.vjp
    def vjp(primals: Sequence[mx.array], outs: Any, _: Any) -> Arrays:
        outs = list(outs) if isinstance(outs, list | tuple) else [outs]
        nothing = [mx.zeros_like(each) for each in primals[count:]]
        return [*gradients(list(primals[:count]), outs), *nothing]

    @results.vmap
    def rule(arrays: Sequence[mx.array], axes: Axes) -> tuple[Arrays, list[int]]:
        return _spread(arrays[count:], axes[count:], arrays, axes)

    found: Any = results(*floats, *kept)
    return list(found) if isinstance(found, list | tuple) else [found]


def _after_in_lanes(arrays: Arrays, others: Arrays) -> Arrays:
    """`mx.depends`, which has no rule for lanes."""
    count = len(arrays)

    @mx.custom_function
    def waiting(*held: mx.array) -> Arrays:
        return list(held[:count])  # what MLX maps to learn shapes

    @waiting.vmap
    def rule(held: Sequence[mx.array], axes: Axes) -> tuple[Arrays, list[int]]:
        found, places = _spread(held[:count], axes[:count], held, axes)
        return mx.depends(found, list(held[count:])), places

    waited: Any = waiting(*arrays, *others)
    return list(waited) if isinstance(waited, list | tuple) else [waited]


def _spread(
    chosen: Sequence[mx.array], axes: Axes, arrays: Sequence[mx.array], all_axes: Axes
) -> tuple[Arrays, list[int]]:
    """Return arrays with lanes first, also those that all lanes share."""
    width = next(a.shape[axis] for a, axis in zip(arrays, all_axes, strict=True) if axis is not None)
    lanes, mapped = lanes_first(chosen, axes)
    found = [a if m else mx.broadcast_to(a, (width, *a.shape)) for a, m in zip(lanes, mapped, strict=True)]
    return found, [0] * len(found)


def _leaves(tree: Any) -> list[Any]:
    leaves: Any = tree_flatten(tree, is_leaf=_is_module)
    return [leaf for _, leaf in leaves]


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, mx.array) and mx.issubdtype(leaf.dtype, mx.floating)


def _with_floats(tree: Any, floats: Sequence[mx.array]) -> Any:
    """Return the tree with its floating arrays, in their order, replaced."""
    left = iter(floats)
    return tree_map(lambda leaf: next(left) if _is_float(leaf) else leaf, tree, is_leaf=_is_module)


def _is_module(tree: Any) -> bool:
    return isinstance(tree, nn.Module)  # a dict, but none that can be built from its items
