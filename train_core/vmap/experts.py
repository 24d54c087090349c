"""Products with matrices that are chosen by index, as experts are, in lanes; pure.

`mx.vmap` has no rule for them. Lanes become one more dimension of the batch, and where each lane has matrices
of its own, these stand one after the other and the indices count on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx

from train_core.vmap.custom import in_lanes

# Taken at import, before any rule stands in their place.
_gather_mm: Any = mx.gather_mm
_gather_qmm: Any = mx.gather_qmm
_dequantize: Any = mx.dequantize

Mapped = Sequence[bool]


def gather_mm(
    a: mx.array,
    b: mx.array,
    /,
    lhs_indices: mx.array | None = None,
    rhs_indices: mx.array | None = None,
    *,
    sorted_indices: bool = False,
    stream: Any = None,
) -> mx.array:
    """`mx.gather_mm` in lanes."""

    def native(a: mx.array, parts: Sequence[mx.array], lhs: Any, rhs: Any, *, in_order: bool) -> mx.array:
        found: mx.array = _gather_mm(a, parts[0], lhs, rhs, sorted_indices=in_order)
        return found

    def full(parts: Sequence[mx.array]) -> mx.array:
        return parts[0]

    return _chosen(native, full, a, (b,), lhs_indices, rhs_indices, in_order=sorted_indices)


def gather_qmm(
    x: mx.array,
    w: mx.array,
    /,
    scales: mx.array,
    biases: mx.array | None = None,
    lhs_indices: mx.array | None = None,
    rhs_indices: mx.array | None = None,
    transpose: bool = True,
    group_size: int | None = None,
    bits: int | None = None,
    mode: str = "affine",
    *,
    sorted_indices: bool = False,
    stream: Any = None,
    **others: Any,
) -> mx.array:
    """`mx.gather_qmm` in lanes."""
    how: Any = {"group_size": group_size, "bits": bits, "mode": mode}
    dtype = x.dtype

    def native(x: mx.array, parts: Sequence[mx.array], lhs: Any, rhs: Any, *, in_order: bool) -> mx.array:
        w, scales, *rest = parts
        found: mx.array = _gather_qmm(
            x, w, scales, *(rest or (None,)), lhs_indices=lhs, rhs_indices=rhs, transpose=transpose, **how,
            sorted_indices=in_order, **others,
        )  # fmt: skip
        return found

    def full(parts: Sequence[mx.array]) -> mx.array:
        matrices: mx.array = _dequantize(*parts, **how).astype(dtype)
        return matrices.swapaxes(-1, -2) if transpose else matrices

    parts = (w, scales) if biases is None else (w, scales, biases)
    return _chosen(native, full, x, parts, lhs_indices, rhs_indices, in_order=sorted_indices)


def _chosen(
    native: Callable[..., mx.array],
    full: Callable[[Sequence[mx.array]], mx.array],
    a: mx.array,
    parts: Sequence[mx.array],
    lhs: mx.array | None,
    rhs: mx.array | None,
    *,
    in_order: bool,
) -> mx.array:
    """Products of matrices in `a` and in `parts`, which give `full` ones, each pair chosen by its indices."""
    last = 1 + len(parts)

    def pair(indices: Sequence[Any]) -> list[Any]:
        left = list(indices)
        return [None if given is None else left.pop(0) for given in (lhs, rhs)]

    def alone(a: mx.array, *held: mx.array) -> mx.array:
        return native(a, held[: last - 1], *pair(held[last - 1 :]), in_order=in_order)

    def definition(a: mx.array, *held: mx.array) -> mx.array:
        left, right = pair(held[last - 1 :])
        return _taken(a, left) @ _taken(full(held[: last - 1]), right)

    def together(arrays: Sequence[mx.array], mapped: Mapped) -> mx.array:
        width = next(len(each) for each, m in zip(arrays, mapped, strict=True) if m)
        left, right = (each and Places(*each) for each in pair(list(zip(arrays, mapped, strict=True))[last:]))
        sides = (arrays[:1], mapped[:1], left), (arrays[1:last], mapped[1:last], right)
        dims = max(_dims(*side) for side in sides)
        ((a,), lhs), (parts, rhs) = (_side(*side, width, dims) for side in sides)
        # Only where each lane has matrices of its own do the indices of all lanes come in order, too.
        kept = in_order and any(mapped[1:last] if right else mapped[:1])
        if not kept or dims != 1:
            return native(a, parts, lhs, rhs, in_order=False)
        flat = [each if each is None else _flat(each, width) for each in (lhs, rhs)]
        a, parts = (a if left else _flat(a, width)), (parts if right else [_flat(p, width) for p in parts])
        found = native(a, parts, *flat, in_order=True)
        return found.reshape(width, -1, *found.shape[1:])

    indices = [each for each in (lhs, rhs) if each is not None]
    return in_lanes(alone, together, definition=definition)(a, *parts, *indices)


class Places(NamedTuple):
    """Which matrices are taken; `mapped` where each lane takes others."""

    indices: mx.array
    mapped: bool


def _taken(matrices: mx.array, indices: mx.array | None) -> mx.array:
    return matrices if indices is None else matrices.reshape(-1, *matrices.shape[-2:])[indices]


def _dims(matrices: Sequence[mx.array], mapped: Mapped, places: Places | None) -> int:
    """How many dimensions the batch of one lane has."""
    if places is not None:
        return places.indices.ndim - places.mapped
    return matrices[0].ndim - mapped[0] - 2


def _side(
    matrices: Sequence[mx.array], mapped: Mapped, places: Places | None, width: int, dims: int
) -> tuple[list[mx.array], mx.array | None]:
    """One side's matrices with those of all lanes, and the places in them: lanes first, then `dims` more."""
    if any(mapped):
        matrices = [
            m if own else mx.broadcast_to(m, (width, *m.shape))
            for m, own in zip(matrices, mapped, strict=True)
        ]
    if places is None:
        matrices = matrices if any(mapped) else [m[None] for m in matrices]
        return [_widened(m, dims + 2) for m in matrices], None
    indices = places.indices if places.mapped else places.indices[None]
    indices = _widened(indices, dims)
    if not any(mapped):
        return list(matrices), indices
    each = math.prod(matrices[0].shape[1:-2])
    first = mx.arange(0, width * each, each, dtype=indices.dtype).reshape(width, *(1,) * dims)
    return [m.flatten(0, 1) for m in matrices], indices + first


def _widened(a: mx.array, dims: int) -> mx.array:
    """Lanes first, then axes of one up to so many."""
    return a.reshape(len(a), *(1,) * (dims + 1 - a.ndim), *a.shape[1:]) if a.ndim <= dims else a


def _flat(a: mx.array, width: int) -> mx.array:
    """The batches of all lanes as one: MLX's gradient of what is in order takes no more dimensions."""
    return mx.broadcast_to(a, (width, *a.shape[1:])).flatten(0, 1)
