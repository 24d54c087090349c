"""Adapters of mlx-lm whose rank, scale, dropout and layers are given for a call, and may be traced.

The program is built for the largest rank and number of layers. A smaller rank leaves rows of `lora_b` out, a
smaller number of layers scales an adapter by 0. Gradients of what is left out are 0: it stays as drawn.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map
from mlx_lm.tuner.utils import linear_to_lora_layers

import train_core
from lm import base
from train_core.errors import TaskError

HIDDEN = re.compile(r"'(LoRA|DoRA)\w*' object has no attribute")
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj")
"""What mlx-lm's models call the layers of attention."""


class GivenDropout(train_core.Dropout):
    """Dropout whose rate is set from outside, since mlx-lm's layers call it with their input alone.

    A rate of None draws nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        give(self, "rate", None)

    def __call__(self, x: mx.array, rate: Any = None) -> mx.array:
        if self.rate is None:
            return x
        return self.padded(x, self.rate) if x.ndim == 3 else super().__call__(x, self.rate)


def give(module: nn.Module, name: str, value: object) -> None:
    """Set an attribute that is no parameter, even where it is an array."""
    object.__setattr__(module, name, value)


def add(model: nn.Module, *, kind: str, num_layers: int, rank: int, keys: list[str] | None) -> None:
    """Put adapters into the last `num_layers` layers (all where it is negative), as mlx-lm does.

    `model.adapters` then holds each with the number of its layer, None outside layers.
    """
    config: dict[str, Any] = {"rank": rank, "scale": 1.0, "dropout": 0.0}
    if keys is not None:
        config["keys"] = keys
    try:
        linear_to_lora_layers(model, num_layers, config, use_dora=kind == "dora")
    except ValueError as error:
        hint = "Name other layers as lora_parameters.keys"
        raise TaskError(f"mlx-lm puts no adapter into a layer of this model: {error}. {hint}") from error
    layers: Any = model.layers  # wherever they are: model.layers, transformer.h, model.blocks
    numbers = {id(part): number for number, layer in enumerate(layers) for _, part in layer.named_modules()}
    found = []
    for _, part in model.named_modules():
        if "lora_b" in part:
            part.dropout = GivenDropout()
            found.append((numbers.get(id(part)), part))
    give(model, "adapters", found)


def called(model: Any, inputs: mx.array) -> Any:
    """What a model makes of its inputs, as `base.called_afresh`.

    Raises TaskError where it reads the weights of a layer that has an adapter, which are in another place.
    """
    try:
        return base.called_afresh(model, inputs)
    except AttributeError as error:
        if not HIDDEN.search(str(error)):
            raise
        place = traceback.extract_tb(error.__traceback__)[-2]  # the last one is MLX's own
        raise TaskError(
            f"{Path(place.filename).name}:{place.lineno}: this model reads the weights of a layer itself, "
            f"which mlx-lm's adapter hides: `{place.line}`. Write lora_parameters.keys in the configuration, "
            f"such as [{', '.join(_attention(model))}]"
        ) from error


def _attention(model: Any) -> list[str]:
    """The layers of attention that have an adapter, as `keys` names them."""
    paths = (path for layer in model.layers for path, part in layer.named_modules() if "lora_b" in part)
    return list(dict.fromkeys(path for path in paths if path.endswith(ATTENTION))) or ["self_attn.q_proj"]


def resume(model: nn.Module, file: Path) -> None:
    """Begin with the arrays of a file that mlx-lm or an export wrote. Raises TaskError."""
    try:
        found: Any = mx.load(str(file))
    except (OSError, RuntimeError, ValueError) as error:
        raise TaskError(f"resume_adapter_file: {file}: cannot be read: {error}") from error
    there = dict(tree_flatten(model.trainable_parameters()))
    for name, array in found.items():
        if name not in there:
            raise TaskError(
                f"resume_adapter_file: {file}: {name} is not trained here; check num_layers and keys"
            )
        if array.shape != there[name].shape:
            shapes = f"{tuple(array.shape)}, and {tuple(there[name].shape)} here"
            raise TaskError(f"resume_adapter_file: {file}: {name} is {shapes}. Write its rank as max_rank")
    model.load_weights(list(found.items()), strict=False)


@contextmanager
def given(model: Any, *, rank: Any, scale: Any, dropout: Any, num_layers: Any) -> Iterator[None]:
    """Run a block with these in every adapter; the arrays that it changes are put back by the core."""
    count = len(model.layers)
    parts = model.adapters
    try:
        for layer, part in parts:
            trained = 1.0 if layer is None else (num_layers < 0) | (layer >= count - num_layers)
            give(part.dropout, "rate", dropout)
            part.lora_b = tree_map(lambda b, by=scale * trained: _scaled(b, rank, by), part.lora_b)
        yield
    finally:
        for _, part in parts:  # a module that keeps a tracer after its trace fails at its next call
            give(part.dropout, "rate", None)


def scale_of(scale: Any, alpha: Any, rank: Any, *, rslora: Any) -> Any:
    """An adapter's factor: `scale`, or where alpha is above 0 that over the rank, by rslora over its root."""
    return mx.where(alpha > 0, alpha / mx.where(rslora > 0, mx.sqrt(rank), rank), scale)


def _scaled(b: mx.array, rank: Any, scale: Any) -> mx.array:
    """A `lora_b` times the scale, and nothing beyond the rank: its first axis, in experts its last.

    A fused layer has several. Not the layer's own `scale`, which multiplies activations: under compile and
    lanes MLX fails on it (`_Map_base::at`), and this is less to multiply.
    """
    axis = b.ndim - 1 if b.ndim == 3 else 0
    shape = [1] * b.ndim
    shape[axis] = b.shape[axis]
    factors = mx.where(mx.arange(b.shape[axis]) < rank, scale, 0.0).reshape(shape)
    scaled: mx.array = b * factors.astype(b.dtype)
    return scaled
