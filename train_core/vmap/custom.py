"""A function with a rule of its own for lanes, its gradient too; pure.

`mx.vmap` maps what is inside it operation by operation: a fused kernel falls apart into its definition, and a
constant becomes a strided array. A function of `in_lanes` is handed the arrays of all lanes instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

Axes = Sequence[int | None]
Alone = Callable[..., mx.array]
Together = Callable[[Sequence[mx.array], Sequence[bool]], mx.array]
"""A function of all lanes' arrays, lanes first, and which of these have lanes: others are shared by all."""


def in_lanes(
    alone: Alone, together: Together, *, once: bool = False, definition: Alone | None = None
) -> Alone:
    """Return `alone`, a function of arrays, that is computed by `together` where lanes are mapped.

    Both give one array. The gradients in lanes are those of `together`. `once` is for a kernel that computes
    something besides where gradients are asked for: it is asked for in both passes, so that the compiler
    finds the same call twice and keeps one. `definition` is what MLX can map where it cannot map
    `alone`; only its shapes are used, unless all lanes share all arrays.
    """
    mappable = definition or alone

    @mx.custom_function
    def forward(*arrays: mx.array) -> mx.array:
        return mappable(*arrays)

    # Called after the lane was traced, with the arrays of all lanes and no rule in place.
    @forward.vmap
    def forward_rule(arrays: Any, axes: Any) -> tuple[mx.array, int]:
        lanes, mapped = lanes_first(_several(arrays), _several(axes))
        found = together(lanes, mapped)
        if once and all(mapped):
            found = _differentiated(lambda *held: together(held, mapped), lanes, found)[0]
        return found, 0

    @mx.custom_function
    def backward(out: mx.array, *arrays: mx.array) -> list[mx.array]:
        return _gradients(mappable, arrays, out)

    @backward.vmap
    def backward_rule(arguments: Sequence[mx.array], axes: Axes) -> tuple[list[mx.array], list[int]]:
        (out, *lanes), (own, *mapped) = lanes_first(arguments, axes)
        found = _gradients_in_lanes(together, lanes, mapped, out, own=own)
        return found, [0] * len(found)

    @forward.vjp
    def gradients(primals: Any, out: mx.array, _: mx.array) -> Any:
        found: Any = backward(out, *_several(primals))
        return found if len(found) > 1 else found[0]

    return forward  # type: ignore[return-value]


def lanes_first(arrays: Sequence[mx.array], axes: Axes) -> tuple[list[mx.array], list[bool]]:
    """Return the arrays with their lanes in the first dimension, and which have lanes."""
    mapped = [axis is not None for axis in axes]
    return [
        a if axis is None else mx.moveaxis(a, axis, 0) for a, axis in zip(arrays, axes, strict=True)
    ], mapped


def _gradients(alone: Alone, arrays: Sequence[mx.array], out: mx.array) -> list[mx.array]:
    """Return a gradient for each array; zeros for what has none, integers and masks."""
    return _differentiated(alone, arrays, out)[1]


def _differentiated(
    alone: Alone, arrays: Sequence[mx.array], out: mx.array
) -> tuple[mx.array, list[mx.array]]:
    """Return what `alone` gives of the arrays, and its gradients."""
    places = [i for i, a in enumerate(arrays) if mx.issubdtype(a.dtype, mx.floating)]
    nothing = [mx.zeros_like(a) for a in arrays]
    if not places:
        return alone(*arrays), nothing

    def of_floats(*floats: mx.array) -> mx.array:
        return alone(*_filled(arrays, places, floats))

    (value,), found = mx.vjp(of_floats, [arrays[i] for i in places], [out])
    return value, _filled(nothing, places, found)


def _gradients_in_lanes(
    together: Together, arrays: Sequence[mx.array], mapped: Sequence[bool], out: mx.array, *, own: bool
) -> list[mx.array]:
    """Return every lane's gradients, lanes first; those of shared arrays apart, since hardly ever used.

    So a shared constant stays one in the gradients of the others, and what nothing reads is not computed.
    """
    lanes = next(len(a) for a, m in zip([*arrays, out], [*mapped, own], strict=True) if m)
    out = out if own else mx.broadcast_to(out, (lanes, *out.shape))
    of_mapped = _gradients(
        lambda *held: together(_filled(arrays, [i for i, m in enumerate(mapped) if m], held), mapped),
        [a for a, m in zip(arrays, mapped, strict=True) if m],
        out,
    )
    if all(mapped):
        return of_mapped
    spread = [a if m else mx.broadcast_to(a, (lanes, *a.shape)) for a, m in zip(arrays, mapped, strict=True)]
    of_all = _gradients(lambda *held: together(held, [True] * len(held)), spread, out)
    return _filled(of_all, [i for i, m in enumerate(mapped) if m], of_mapped)


def _filled(values: Sequence[mx.array], places: Sequence[int], others: Sequence[mx.array]) -> list[mx.array]:
    """Return the values with others in these places."""
    replaced = dict(zip(places, others, strict=True))
    return [replaced.get(i, value) for i, value in enumerate(values)]


def _several(value: Any) -> Any:
    """MLX hands over a single argument as itself, several as a list."""
    return value if isinstance(value, list | tuple) else [value]
