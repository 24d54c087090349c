"""Compute in the trial's precision, keep and reduce in float32; the dynamic loss scale of float16. Pure.

Parameters are cast inside the differentiated function, so their gradients come back in float32.
Activations are cast where the model is called (`at_boundary`), not in the batch: targets keep their
precision, and what leaves the model for the loss is float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map

Flat = dict[str, mx.array]

DTYPES: Mapping[str, mx.Dtype] = {"float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}

FIRST_SCALE = 2.0**15
LARGEST_SCALE = 2.0**24
GROWTH_INTERVAL = 2000
"""Finite updates in a row after which the loss scale doubles (Micikevicius et al. 2018)."""


def is_floating(array: mx.array) -> bool:
    """Whether the elements are floating-point numbers."""
    return mx.issubdtype(array.dtype, mx.floating)


def cast(leaf: Any, dtype: mx.Dtype) -> Any:
    """Return a floating array in `dtype`; numbers, integers and keys stay as they are."""
    return leaf.astype(dtype) if isinstance(leaf, mx.array) and is_floating(leaf) else leaf


def master(parameters: Mapping[str, mx.array]) -> Flat:
    """Return the float32 master copy of the parameters."""
    return {path: cast(leaf, mx.float32) for path, leaf in parameters.items()}


class AtBoundary:
    """A model as a task sees it below float32: arrays go in in `dtype` and come out in float32.

    So they do at its methods and submodules (`model.encode(x)`); other attributes are the model's own.
    Scalars keep their dtype: a rate of 0.1 is 0.1.
    """

    def __init__(self, model: Any, dtype: mx.Dtype) -> None:
        self._model = model
        self._dtype = dtype

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        def enter(leaf: Any) -> Any:
            return cast(leaf, self._dtype) if isinstance(leaf, mx.array) and leaf.ndim else leaf

        args, kwargs = tree_map(enter, (list(args), kwargs))
        return tree_map(lambda leaf: cast(leaf, mx.float32), self._model(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        return AtBoundary(found, self._dtype) if callable(found) else found


def at_boundary(model: Any, dtype: mx.Dtype) -> Any:
    """Return the model itself in float32, else a view of it that casts at its call."""
    return model if dtype == mx.float32 else AtBoundary(model, dtype)


def all_finite(gradient: mx.array) -> mx.array:
    """Return whether a gradient (..., P) holds neither NaN nor infinity: one boolean a run."""
    return mx.all(mx.isfinite(gradient), axis=-1)


def first_scale(examples: int) -> Flat:
    """Return the loss scale's state: the scale, finite updates since it changed, updates skipped.

    The loss of a micro-batch is a sum over `examples`: it starts as that of a mean would.
    """
    return {
        "scale": mx.array(FIRST_SCALE / examples, mx.float32),
        "finite": mx.array(0, mx.uint32),
        "skipped": mx.array(0, mx.uint32),
    }


def next_scale(state: Mapping[str, mx.array], finite: mx.array) -> Flat:
    """Halve the scale after a non-finite update, double it after GROWTH_INTERVAL finite ones."""
    scale, run = state["scale"], state["finite"] + 1
    grow = run >= GROWTH_INTERVAL
    grown = mx.where(grow, mx.minimum(scale * 2.0, LARGEST_SCALE), scale)
    return {
        "scale": mx.where(finite, grown, mx.maximum(scale * 0.5, 1.0)),
        "finite": mx.where(mx.logical_and(finite, mx.logical_not(grow)), run, 0).astype(mx.uint32),
        "skipped": state["skipped"] + mx.logical_not(finite).astype(mx.uint32),
    }
