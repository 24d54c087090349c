"""MLX's fused kernels in lanes: attention, norms, rotary places, cross-entropy; pure.

`mx.vmap` replaces a fused kernel by its definition, which writes every intermediate to memory. Here the lanes
become part of the batch that the kernel has anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from train_core import device
from train_core.vmap.custom import in_lanes

# Taken at import, before any rule stands in their place.
_attention = mx.fast.scaled_dot_product_attention
_layer_norm = mx.fast.layer_norm
_rms_norm = mx.fast.rms_norm
_rope = mx.fast.rope
_cross_entropy = mx.fast.cross_entropy

Mapped = Sequence[bool]


def attention(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    *,
    scale: float,
    mask: str | mx.array | None = None,
    sinks: mx.array | None = None,
    force_fused: bool = False,
    stream: Any = None,
) -> mx.array:
    """`scaled_dot_product_attention`, lanes folded into the batch; heads and masks stay as they are."""
    if sinks is not None:  # one number a head, another in each lane: no batch takes that
        return _attention(q, k, v, scale=scale, mask=mask, sinks=sinks, force_fused=force_fused)

    def alone(q: mx.array, k: mx.array, v: mx.array, *held: mx.array) -> mx.array:
        said = held[0] if held else mask
        return _attention(q, k, v, scale=scale, mask=said, force_fused=force_fused)

    def together(arrays: Sequence[mx.array], mapped: Mapped) -> mx.array:
        width = next(len(a) for a, m in zip(arrays, mapped, strict=True) if m)
        folded = [_folded(a, m, width) for a, m in zip(arrays[:3], mapped[:3], strict=True)]
        masks = [_folded_mask(a, m, width, len(folded[0]) // width) for a, m in _rest(arrays, mapped, 3)]
        found = alone(*folded, *masks)
        return found.reshape(width, -1, *found.shape[1:])

    arrays = (q, k, v, mask) if isinstance(mask, mx.array) else (q, k, v)
    return in_lanes(alone, together, once=device.kind() == "gpu")(*arrays)


def layer_norm(
    x: mx.array, weight: mx.array | None, bias: mx.array | None, eps: float, *, stream: Any = None
) -> mx.array:
    """On a GPU the kernel over the rows of all lanes, then each lane's own weight and bias."""
    if device.kind() != "gpu":
        return _layer_norm(x, weight, bias, eps)
    parts = [p for p in (weight, bias) if p is not None]

    def alone(x: mx.array, *parts: mx.array) -> mx.array:
        left = list(parts)
        own = [None if p is None else left.pop(0) for p in (weight, bias)]
        return _layer_norm(x, own[0], own[1], eps)

    def together(arrays: Sequence[mx.array], mapped: Mapped) -> mx.array:
        found = _layer_norm(_widened(arrays, mapped), None, None, eps)
        rows = [_per_row(a, m, found.ndim) for a, m in _rest(arrays, mapped, 1)]
        return _affine(found, rows, weight is not None)

    return in_lanes(alone, together)(x, *parts)


def rms_norm(x: mx.array, weight: mx.array | None, eps: float, *, stream: Any = None) -> mx.array:
    """As `layer_norm`."""
    if device.kind() != "gpu":
        return _rms_norm(x, weight, eps)

    def alone(x: mx.array, *weights: mx.array) -> mx.array:
        return _rms_norm(x, weights[0] if weights else None, eps)

    def together(arrays: Sequence[mx.array], mapped: Mapped) -> mx.array:
        found = _rms_norm(_widened(arrays, mapped), None, eps)
        return _affine(found, [_per_row(a, m, found.ndim) for a, m in _rest(arrays, mapped, 1)], True)

    return in_lanes(alone, together)(x, *(() if weight is None else (weight,)))


def rope(
    a: mx.array,
    dims: int,
    *,
    traditional: bool,
    base: float | None,
    scale: float,
    offset: int | mx.array,
    freqs: mx.array | None = None,
    stream: Any = None,
) -> mx.array:
    """Rotary places with lanes folded into the batch, where they are the same in all lanes."""
    how: Any = {"traditional": traditional, "base": base, "scale": scale, "offset": offset}
    if isinstance(offset, mx.array):
        return _rope(a, dims, **how, freqs=freqs)

    def alone(a: mx.array) -> mx.array:
        return _rope(a, dims, **how, freqs=freqs)  # a constant of the model, the same in all lanes

    def together(arrays: Sequence[mx.array], mapped: Mapped) -> mx.array:
        (lanes,) = arrays
        return alone(lanes.flatten(0, 1)).reshape(lanes.shape)

    return in_lanes(alone, together)(a)


def cross_entropy(logits: mx.array, targets: mx.array, *, stream: Any = None) -> mx.array:
    """On a GPU the kernel over the rows of all lanes."""
    if device.kind() != "gpu":
        return _cross_entropy(logits, targets)

    def together(arrays: Sequence[mx.array], mapped: Mapped) -> mx.array:
        width = next(len(a) for a, m in zip(arrays, mapped, strict=True) if m)
        full = [
            a if m else mx.broadcast_to(a, (width, *a.shape)) for a, m in zip(arrays, mapped, strict=True)
        ]
        return _cross_entropy(*full)

    return in_lanes(_cross_entropy, together)(logits, targets)


def _affine(x: mx.array, parts: Sequence[mx.array], scaled: bool) -> mx.array:
    """Return x times the first of the parts where it is `scaled`, plus the other."""

    def computed(x: mx.array, *parts: mx.array) -> mx.array:
        for place, part in enumerate(parts):
            x = x * part if scaled and not place else x + part
        return x

    if not parts or x.dtype not in _HALF or any(part.dtype != x.dtype for part in parts):
        return computed(x, *parts)
    affine: Any = mx.custom_function(computed)

    @affine.vjp  # type: ignore[untyped-decorator]
    def gradients(primals: Sequence[mx.array], out: mx.array, _: mx.array) -> list[mx.array]:
        x, *parts = primals
        factors = [x, None] if scaled else [None]
        found = [
            _summed(out if f is None else out * f, part) for part, f in zip(parts, factors, strict=False)
        ]
        return [out * parts[0] if scaled else out, *found]

    found: mx.array = affine(x, *parts)
    return found


_HALF = (mx.float16, mx.bfloat16)


def _summed(rows: mx.array, part: mx.array) -> mx.array:
    """Return the sum over rows (L, ..., D) in the shape of a lane's or every lane's vector.

    A product with ones, summed in float32: MLX's sums of columns take four times as long.
    """
    lanes = len(part) if part.ndim == rows.ndim else 1
    rows = rows.reshape(lanes, -1, rows.shape[-1])
    ones = mx.ones(
        (lanes, 1, rows.shape[1]), rows.dtype
    )  # in every lane, or each product would copy them there
    return (ones @ rows).reshape(part.shape)


def _rest(arrays: Sequence[mx.array], mapped: Mapped, first: int) -> list[tuple[mx.array, bool]]:
    return list(zip(arrays[first:], mapped[first:], strict=True))


def _folded(a: mx.array, mapped: bool, width: int) -> mx.array:
    """Return lanes and batch as one dimension; what is shared is repeated."""
    return (a if mapped else mx.broadcast_to(a, (width, *a.shape))).flatten(0, 1)


def _folded_mask(mask: mx.array, mapped: bool, width: int, batch: int) -> mx.array:
    """Return a mask (..., T, T) for lanes folded into the batch."""
    lanes = mask.shape[:1] if mapped else ()
    own = mask.shape[len(lanes) :]
    own = (1,) * (4 - len(own)) + tuple(own)
    if not mapped and own[0] == 1:  # the same for every example
        return mask.reshape(own)
    mask = mask.reshape((*(lanes or (1,)), *own))
    return mx.broadcast_to(mask, (width, batch, *own[1:])).flatten(0, 1)


def _widened(arrays: Sequence[mx.array], mapped: Mapped) -> mx.array:
    """Return the first array with lanes, where only others have them."""
    if mapped[0]:
        return arrays[0]
    width = next(len(a) for a, m in zip(arrays, mapped, strict=True) if m)
    return mx.broadcast_to(arrays[0], (width, *arrays[0].shape))


def _per_row(part: mx.array, mapped: bool, dimensions: int) -> mx.array:
    """Return a lane's vector beside its rows: (L, 1, ..., D)."""
    return part.reshape((len(part), *(1,) * (dimensions - 2), part.shape[-1])) if mapped else part
