"""The BatchNorm of a step against MLX's: results, gradients, statistics, lanes; small embeddings."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tests.train_core.vmap.operations import assert_lanes_equal_alone
from train_core.step.batch_norm import BatchNorm
from train_core.step.embedding import SmallEmbedding


def layers(channels: int, **options: bool) -> tuple[nn.BatchNorm, BatchNorm]:
    native, ours = nn.BatchNorm(channels, **options), BatchNorm(channels, **options)
    if "weight" in native:
        for layer in (native, ours):
            layer.weight = mx.linspace(0.5, 2.0, channels)
            layer.bias = mx.linspace(-1.0, 1.0, channels)
    return native, ours


@pytest.mark.parametrize("shape", [(7, 4), (5, 6, 4), (3, 5, 6, 4)])
@pytest.mark.parametrize("options", [{}, {"affine": False}, {"track_running_stats": False}], ids=str)
def test_it_is_mlxs_to_rounding(shape: tuple[int, ...], options: dict[str, bool]) -> None:
    x = 3 * mx.random.normal(shape, key=mx.random.key(0)) + 1
    seen = []
    for layer in layers(4, **options):
        differentiated = mx.value_and_grad(lambda x, p, layer=layer: mx.sin(used(layer, x, p)).sum(), (0, 1))
        parameters = {name: layer[name] for name in ("weight", "bias") if name in layer}
        value, (to_x, to_parameters) = differentiated(x, parameters)
        seen.append([value, to_x, *to_parameters.values(), *running(layer)])
    for found, wanted in zip(seen[1], seen[0], strict=True):
        np.testing.assert_allclose(np.array(found), np.array(wanted), rtol=2e-4, atol=2e-5)


def used(layer: nn.BatchNorm, x: mx.array, parameters: dict[str, mx.array]) -> mx.array:
    layer.update(parameters)
    y: mx.array = layer(x)
    return y


def running(layer: nn.BatchNorm) -> list[mx.array]:
    return [layer[name] for name in ("running_mean", "running_var") if name in layer]


def test_in_evaluation_it_is_mlxs_and_moves_nothing() -> None:
    x = mx.random.normal((3, 5, 4), key=mx.random.key(0))
    native, ours = layers(4)
    for layer in (native, ours):
        layer.eval()
        layer.running_mean = mx.ones(4)
    assert mx.array_equal(native(x), ours(x))
    assert mx.array_equal(ours.running_mean, mx.ones(4))
    with pytest.raises(ValueError, match="more than one value"):
        BatchNorm(4)(mx.zeros((1, 4)))


def test_below_float32_it_reduces_in_float32() -> None:
    x = (mx.random.normal((4096, 4), key=mx.random.key(0)) + 50).astype(mx.bfloat16)
    _, ours = layers(4)
    assert ours(x).dtype == mx.bfloat16
    assert ours.running_mean.dtype == mx.float32
    np.testing.assert_allclose(np.array(ours.running_mean), np.full(4, 5.0), rtol=1e-2)


def test_invariant_2_it_equals_its_run_alone() -> None:
    def normed(x: mx.array, weight: mx.array, bias: mx.array) -> mx.array:
        layer = BatchNorm(4)
        layer.weight, layer.bias = weight, bias
        y: mx.array = layer(x)
        return y + layer.running_var

    assert_lanes_equal_alone(normed, (3, 5, 6, 4), (4,), (4,))
    assert_lanes_equal_alone(normed, (3, 5, 6, 4), (4,), (4,), dtype=mx.bfloat16)


@pytest.mark.parametrize("rows", [5, 600])
def test_an_embedding_of_few_rows_has_the_same_gradient(rows: int) -> None:
    index = mx.array([[0, 3, 3], [-1, 4, 0]])
    ours, native = SmallEmbedding(rows, 4), nn.Embedding(rows, 4)
    found, wanted = (
        mx.grad(lambda w, layer=layer: mx.sin(looked_up(layer, w, index)).sum())(native.weight)
        for layer in (ours, native)
    )
    np.testing.assert_allclose(np.array(found), np.array(wanted), atol=1e-6)
    np.testing.assert_array_equal(np.array(looked_up(ours, native.weight, index)), np.array(native(index)))


def looked_up(layer: nn.Embedding, weight: mx.array, index: mx.array) -> mx.array:
    layer.weight = weight
    y: mx.array = layer(index)
    return y


def test_an_embedding_of_few_rows_in_lanes() -> None:
    index = mx.array([[0, 3, 3], [2, 4, 0]])

    def rows(weight: mx.array) -> mx.array:
        return looked_up(SmallEmbedding(5, 4), weight, index)

    assert_lanes_equal_alone(rows, (5, 4))
