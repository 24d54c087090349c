"""An `nn.Module` as a function of its arrays; purity ends at `bound`, which puts everything back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

Flat = dict[str, mx.array]


def flatten(tree: Mapping[str, Any]) -> Flat:
    """Return a tree's arrays by path."""
    flat: Flat = dict(tree_flatten(dict(tree)))
    return flat


def trainable(module: nn.Module) -> Flat:
    """Return the trainable parameters by their path in the tree (`layers.0.weight`)."""
    return flatten(module.trainable_parameters())


def fixed(module: nn.Module) -> Flat:
    """Return the other arrays: frozen parameters and running statistics."""
    learned = trainable(module)
    return {path: leaf for path, leaf in flatten(module.parameters()).items() if path not in learned}


def place(module: nn.Module, arrays: Mapping[str, mx.array]) -> None:
    """Put arrays into the module, in place."""
    if arrays:
        module.update(tree_unflatten(list(arrays.items())))


def read(module: nn.Module, paths: Mapping[str, mx.array]) -> Flat:
    """Return what stands at `paths` now."""
    found = flatten(module.parameters())
    return {path: found[path] for path in paths}


@contextmanager
def bound(module: nn.Module, arrays: Mapping[str, mx.array], *, training: bool) -> Iterator[nn.Module]:
    """Run a block with `arrays` in the module; afterwards it holds what it held, no traced array."""
    before = read(module, arrays)
    was_training = module.training
    place(module, arrays)
    module.train(training)
    try:
        yield module
    finally:
        place(module, before)
        module.train(was_training)
