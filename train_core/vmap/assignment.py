"""Assignments by places, `y[..., :4] = x`, in lanes; pure but for the array that is assigned to.

`mx.vmap` maps their gradients wrongly, without an error. Here the whole array is chosen from what is assigned
and what was there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

# Taken at import, before any rule stands in its place.
_assign: Any = mx.array.__setitem__
_at: Any = mx.array.at

Spans = list[tuple[int, int, bool]]
"""Each axis' beginning and end, and whether it is a single place."""


def assign(array: mx.array, places: Any, value: Any) -> None:
    """`array[places] = value`, for integers and slices of neighbours; others as MLX has them."""
    spans = _spans(places if isinstance(places, tuple) else (places,), array.shape)
    if spans is None or _inner(spans) == tuple(array.shape):
        _assign(array, places, value)
    else:
        _assign(array, ..., _placed(array, spans, value))


class At:
    """`array.at[places].multiply(value)` and the like, for the same places."""

    def __init__(self, array: mx.array) -> None:
        self._array = array

    def __getitem__(self, places: Any) -> Any:
        spans = _spans(places if isinstance(places, tuple) else (places,), self._array.shape)
        if spans is None:
            return _at.__get__(self._array)[places]
        return _Updates(self._array, places, spans)


class _Updates:
    def __init__(self, array: mx.array, places: Any, spans: Spans) -> None:
        self._array, self._places, self._spans = array, places, spans

    def __getattr__(self, name: str) -> Callable[[Any], mx.array]:
        function = _divided if name == "divide" else getattr(mx, name)

        def updated(value: Any) -> mx.array:
            return _placed(self._array, self._spans, function(self._array[self._places], value))

        return updated


def _divided(array: mx.array, value: Any) -> mx.array:
    """As MLX updates: by the reciprocal, which rounds otherwise than a quotient."""
    return array * mx.reciprocal(mx.array(value, array.dtype))


at = property(At)


def _placed(array: mx.array, spans: Spans, value: Any) -> mx.array:
    """Return the array with a value in a part of it."""
    inner = _inner(spans)
    kept = tuple(n for n, (_, _, single) in zip(inner, spans, strict=True) if not single)
    given = mx.array(value).astype(array.dtype)
    while given.ndim > len(kept) and given.shape[0] == 1:  # as NumPy and MLX allow
        given = given[0]
    given = mx.broadcast_to(given, kept).reshape(inner)
    ends = [(start, n - stop) for (start, stop, _), n in zip(spans, array.shape, strict=True)]
    chosen = np.zeros(array.shape, np.bool_)
    chosen[tuple(slice(start, stop) for start, stop, _ in spans)] = True
    return mx.where(mx.array(chosen), mx.pad(given, ends), array)


def _inner(spans: Spans) -> tuple[int, ...]:
    return tuple(stop - start for start, stop, _ in spans)


def _spans(places: tuple[Any, ...], shape: Sequence[int]) -> Spans | None:
    """The places of an index; None where it is anything but integers and slices of neighbours."""
    if not all(_is_plain(each) for each in places):
        return None
    wide = [n for n, each in enumerate(places) if each is ...]
    if len(wide) > 1:
        return None
    for at in wide:
        whole = len(shape) - len(places) + 1
        places = (*places[:at], *(slice(None),) * whole, *places[at + 1 :])
    places = (*places, *(slice(None),) * (len(shape) - len(places)))
    if len(places) != len(shape):
        return None
    spans = []
    for place, size in zip(places, shape, strict=True):
        if isinstance(place, int):
            if not -size <= place < size:
                return None
            spans.append((place % size, place % size + 1, True))
            continue
        start, stop, step = place.indices(size)
        if step != 1 or stop <= start:
            return None
        spans.append((start, stop, False))
    return spans


def _is_plain(place: Any) -> bool:
    if isinstance(place, slice):
        return all(each is None or isinstance(each, int) for each in (place.start, place.stop, place.step))
    return place is ... or (isinstance(place, int) and not isinstance(place, bool))
