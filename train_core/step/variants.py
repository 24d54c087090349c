"""Layers of `mlx.nn` as a step needs them: norms that reduce in float32, embeddings without races.

A module's class is exchanged for a subclass while a block runs, so that any model gets them, its tree
and its `isinstance` relations unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from train_core import device
from train_core.step.batch_norm import BatchNorm
from train_core.step.embedding import Embedding, SmallEmbedding

NORMS = (nn.BatchNorm, nn.GroupNorm, nn.InstanceNorm)
"""Norms that MLX computes in their input's precision; its LayerNorm and RMSNorm reduce in float32."""


class _Float32:
    """Computes in float32 and hands back its input's dtype."""

    def __call__(self, x: mx.array) -> mx.array:
        normed: mx.array = super().__call__(x.astype(mx.float32))  # type: ignore[misc]
        return normed.astype(x.dtype)


@contextmanager
def swapped(module: nn.Module, *, reduced: bool, deterministic: bool) -> Iterator[None]:
    """Run a block with variants in the module: of norms where precision is `reduced`, of embeddings."""
    originals: list[tuple[Any, type]] = []
    on_gpu = device.kind() == "gpu"
    for part in module.modules():
        layer: type = type(part)
        variant = _variant(layer, reduced, deterministic, on_gpu)
        if variant is not layer:
            originals.append((part, layer))
            part.__class__ = variant  # not a wrapper: paths in the tree and isinstance stay the task's
    try:
        yield
    finally:
        for part, original in originals:
            part.__class__ = original


@cache  # one class a layer, not a new one in every trace
def _variant(layer: type, reduced: bool, deterministic: bool, on_gpu: bool) -> type:
    if layer is nn.BatchNorm:
        return BatchNorm
    if reduced and issubclass(layer, NORMS):
        return type(layer.__name__, (_Float32, layer), {})
    if layer is nn.Embedding:
        return Embedding if deterministic else SmallEmbedding if on_gpu else layer
    return layer
