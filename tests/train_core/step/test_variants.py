"""Exchanged layers: on inside the block, gone after it."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from train_core import Embedding, keys
from train_core.step import variants


@pytest.mark.parametrize("layer", [nn.BatchNorm(4), nn.GroupNorm(2, 4), nn.InstanceNorm(4)])
def test_norms_reduce_in_float32_below_it(layer: nn.Module) -> None:
    x = mx.random.normal((3, 5, 4), key=keys.key(0)) * 1000
    wanted = np.array(layer(x))
    with variants.swapped(layer, reduced=True, deterministic=False):
        found = layer(x.astype(mx.float16))
    assert found.dtype == mx.float16
    np.testing.assert_allclose(np.array(found.astype(mx.float32)), wanted, atol=5e-3)


def test_classes_come_back_after_an_error_too() -> None:
    model = nn.Sequential(nn.Embedding(3, 2), nn.BatchNorm(2))

    def fail() -> None:
        with variants.swapped(model, reduced=True, deterministic=True):
            assert isinstance(model.layers[0], Embedding)
            assert isinstance(model.layers[1], nn.BatchNorm)
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail()
    assert [type(layer) for layer in model.layers] == [nn.Embedding, nn.BatchNorm]
