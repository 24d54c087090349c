"""`grad_checkpoint`: of each layer only its input is kept for the gradient, the rest is computed again."""

from __future__ import annotations

from functools import cache
from typing import Any

import mlx.core as mx

from lm import base


def put_into(model: Any) -> None:
    """Have every layer of a model checkpointed; each layer's class becomes a subclass of its own."""
    for layer in model.layers:
        layer.__class__ = _checkpointed(type(layer))  # type: ignore[arg-type]


@cache  # one class a layer, not a new one in every trace
def _checkpointed(layer: type) -> type:
    def called(self: Any, *args: Any, **named: Any) -> Any:
        if not self.training:  # no gradient; and a cache that it would write to is no array
            return layer.__call__(self, *args, **named)
        held = base.twin(self)  # as it is now: at the second time an adapter's rate and rank are others

        def run(parameters: Any, *args: Any, **named: Any) -> Any:
            own = base.twin(held)
            own.update(parameters)
            return layer.__call__(own, *args, **named)

        return mx.checkpoint(run)(self.trainable_parameters(), *args, **named)

    return type(layer.__name__, (layer,), {"__call__": called})
