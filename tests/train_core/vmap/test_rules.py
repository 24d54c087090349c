"""Layers that `mx.vmap` alone does not map: in lanes each equals its run alone, bit for bit on the CPU."""

from __future__ import annotations

from itertools import product
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import train_core
from tests.train_core.conftest import EXACT, assert_equal, program_of
from tests.train_core.vmap.operations import WIDTH, assert_lanes_equal_alone
from train_core import Dataset, Length, Mean, Population, Task, device, keys
from train_core.vmap import im2col
from train_core.vmap.im2col import Geometry
from train_core.vmap.rules import over_lanes

LENGTH = Length(examples=44, report_every=22)

exact = pytest.mark.skipif(not EXACT, reason="bit for bit on the x86-64 Linux CPU build only")


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_invariant_2_convolutions(stride: int, padding: int, dilation: int, groups: int) -> None:
    def one(x: mx.array, w: mx.array) -> mx.array:
        return mx.conv1d(x, w, stride, padding, dilation, groups)

    def two(x: mx.array, w: mx.array) -> mx.array:
        return mx.conv2d(x, w, (stride, 1), (1, padding), (1, dilation), groups)

    def transposed(x: mx.array, w: mx.array) -> mx.array:
        return mx.conv_transpose2d(x, w, stride, padding, dilation, 0, groups)

    assert_lanes_equal_alone(one, (4, 11, 4), (6, 3, 4 // groups))
    assert_lanes_equal_alone(two, (2, 7, 8, 4), (6, 3, 2, 4 // groups))
    assert_lanes_equal_alone(transposed, (2, 5, 6, 4), (6, 3, 3, 4 // groups))


def test_invariant_2_convolutions_of_three_dimensions_general_ones_and_mixed_precision() -> None:
    shapes = (2, 7, 8, 4), (6, 3, 2, 2)
    assert_lanes_equal_alone(lambda x, w: mx.conv3d(x, w, 2, 1), (2, 5, 6, 7, 2), (3, 3, 2, 3, 2))
    assert_lanes_equal_alone(
        lambda x, w: mx.conv_general(x, w, 2, ([1, 0], [2, 1]), (1, 2), (2, 1), 2, True), *shapes
    )
    assert_lanes_equal_alone(lambda x, w: mx.conv2d(x, w.astype(mx.bfloat16), 1, 1, 1, 2), *shapes)
    assert_lanes_equal_alone(lambda x, w: mx.conv2d(x, w, 1, 1, 1, 2), *shapes, dtype=mx.bfloat16)


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d(2, 1),
        nn.AvgPool2d(3, 2),
        nn.GroupNorm(2, 4),
        nn.GroupNorm(2, 4, pytorch_compatible=True),
        nn.LayerNorm(4, affine=False),
    ],
    ids=str,
)
def test_invariant_2_pooling_and_normalisation(layer: nn.Module) -> None:
    assert_lanes_equal_alone(layer, (2, 7, 8, 4))


@pytest.mark.parametrize("transpose", [True, False])
def test_invariant_2_quantized_products(transpose: bool) -> None:
    matrix = mx.random.normal((32, 64) if transpose else (64, 32), key=mx.random.key(0))
    w, scales, biases = mx.quantize(matrix, 32, 4)

    def shared(x: mx.array) -> mx.array:
        return mx.quantized_matmul(x, w, scales, biases, transpose, 32, 4)

    def own(x: mx.array, scales: mx.array, biases: mx.array) -> mx.array:
        return mx.quantized_matmul(x, w, scales, biases, transpose, 32, 4)

    assert_lanes_equal_alone(shared, (5, 64))
    assert_lanes_equal_alone(shared, (2, 5, 64), dtype=mx.bfloat16)
    assert_lanes_equal_alone(own, (5, 64), tuple(scales.shape), tuple(biases.shape))


@exact
def test_invariant_2_of_what_all_lanes_share_nothing_comes_out_otherwise() -> None:
    w, scales, biases = mx.quantize(mx.random.normal((64, 64), key=mx.random.key(0)), 32, 4)
    kernel = mx.random.normal((6, 3, 4), key=mx.random.key(1))
    x, image = mx.random.normal((5, 64), key=mx.random.key(2)), mx.random.normal((2, 9, 4))

    def lane(lane: mx.array) -> tuple[mx.array, mx.array]:
        return mx.quantized_matmul(x, w, scales, biases, True, 32, 4) + lane, mx.conv1d(image, kernel) + lane

    alone = lane(mx.array(0.0))
    for found, expected in zip(over_lanes(lane)(mx.zeros((WIDTH,))), alone, strict=True):
        for row in found:
            np.testing.assert_array_equal(np.array(row), np.array(expected))


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((s, 1), (p, 0), (0, p), (d, 1), (i, 2), g, flip)
        for s, p, d, i, g, flip in product((1, 2), (0, 1), (1, 2), (1, 2), (1, 2), (False, True))
    ],
    ids=str,
)
def test_products_over_windows_are_the_convolution_and_its_gradients(geometry: Geometry) -> None:
    x = mx.random.normal((WIDTH, 2, 7, 6, 4), key=mx.random.key(0))
    w = mx.random.normal((WIDTH, 6, 3, 2, 4 // geometry.groups), key=mx.random.key(1))
    y = im2col.convolve(geometry, x, w)
    out = mx.random.normal(y.shape, key=mx.random.key(2))
    to_x = im2col.input_gradient(geometry, (7, 6), out, w)
    to_w = im2col.weight_gradient(geometry, (3, 2), out, x)
    for i in range(WIDTH):
        # The gradients by differentiation of the forward product: MLX's own are misshapen for some of these.
        _, (by_x, by_w) = mx.vjp(lambda x, w: im2col.convolve(geometry, x, w), [x, w], [out])
        with mx.stream(mx.cpu):  # of some of these CUDA's are wrong: see `Geometry.plain`
            forward = geometry.convolve(x[i], w[i])
        for found, wanted in ((y[i], forward), (to_x[i], by_x[i]), (to_w[i], by_w[i])):
            np.testing.assert_allclose(np.array(found), np.array(wanted), rtol=1e-4, atol=1e-3)


@pytest.mark.usefixtures("as_on_gpu", "uncompiled")
def test_a_gpus_rules_equal_alone_to_rounding() -> None:
    ends = [train(CNN(), width, {}).arrays for width in (1, WIDTH)]
    for path, leaf in ends[0].items():
        np.testing.assert_allclose(
            np.array(leaf), np.array(ends[1][path]), rtol=2e-3, atol=2e-3, err_msg=path
        )


@pytest.mark.usefixtures("as_on_gpu", "uncompiled")
def test_on_cuda_a_run_alone_trains_to_the_same_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ends, task = [train(CNN(), 1, {}).arrays], Watching()
    monkeypatch.setattr(device, "cuda", lambda: True)
    ends += [train(CNN(), 1, {}).arrays]
    for path, leaf in ends[0].items():
        np.testing.assert_allclose(
            np.array(leaf), np.array(ends[1][path]), rtol=2e-3, atol=2e-3, err_msg=path
        )
    task.found = []
    train(task, 1, {})
    assert mx.conv2d not in task.found


class Images(Task):
    """Three classes from images (6, 6, 4); a subclass builds the model."""

    def data(self) -> Dataset:
        random = np.random.default_rng(0)
        x = random.normal(size=(40, 6, 6, 4)).astype(np.float32)
        arrays = {"x": x, "y": x.sum((1, 2))[:, :3].argmax(1).astype(np.int32), "w": np.ones(40, np.float32)}
        return Dataset({n: a[:30] for n, a in arrays.items()}, {n: a[30:] for n, a in arrays.items()})

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        return Mean(train_core.cross_entropy(model(batch["x"]), batch["y"]))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}


class CNN(Images):
    """Each layer that has a rule, unmodified."""

    def model(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(4, 8, 3, stride=2, padding=1),
            nn.GroupNorm(2, 8, pytorch_compatible=True),
            nn.relu,
            nn.Conv2d(8, 8, 2, padding=1, groups=2, bias=False),
            nn.MaxPool2d(3, 2, 1),
            lambda x: x.flatten(1, 2),
            nn.Conv1d(8, 6, 2, dilation=2),
            nn.GroupNorm(3, 6),
            lambda x: x.reshape(len(x), -1),
            nn.Linear(12, 3),
        )


def train(task: Task, width: int, hyperparameters: dict[str, object]) -> train_core.Checkpoint:
    """Return the end of run 1, in the last lane, beside other runs."""
    hp = {"micro_batch_size": 6, "learning_rate": 1e-2, "accumulation_steps": 2} | hyperparameters
    population = Population(program_of(task, **hp), width)
    for lane in range(width):
        run = 1 if lane == width - 1 else lane + 2
        key = keys.fold_in(keys.key(0), run)
        population.load(lane, key=key, hyperparameters=hp | {"learning_rate": 1e-2 / run}, length=LENGTH)
    reports = [population.advance().reports[-1] for _ in range(2)]
    assert all(np.isfinite(report.metrics["validation_loss"]) for report in reports)
    return population.snapshot(width - 1)


def assert_same_run(task: Task, hyperparameters: dict[str, object]) -> train_core.Checkpoint:
    alone, lane = (train(task, width, hyperparameters) for width in (1, WIDTH))
    assert_equal(lane, alone)
    return lane


@exact
def test_invariant_2_a_cnn_in_lanes_equals_its_run_alone_compiled() -> None:
    assert_same_run(CNN(), {})


@exact
@pytest.mark.usefixtures("uncompiled")
def test_invariant_2_a_cnn_in_lanes_equals_its_run_alone_below_float32() -> None:
    assert_same_run(CNN(), {"precision": "bfloat16", "optimizer": "sgd"})


class Adapted(nn.Module):
    """A frozen quantized layer and a trained low-rank one beside it."""

    def __init__(self, base: nn.QuantizedLinear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.down = mx.random.normal((base.weight.shape[1] * 8, rank)) * 0.1
        self.up = mx.random.normal((rank, base.weight.shape[0])) * 0.1

    def __call__(self, x: mx.array) -> mx.array:
        base: mx.array = self.base(x)
        return base + x @ self.down @ self.up


class LoRA(Images):
    """A frozen base, quantized and plain, the same for every run, with adapters and a head that train."""

    def model(self) -> nn.Module:
        weight = mx.array(np.random.default_rng(0).normal(size=(32, 64)).astype(np.float32))
        base, frozen = nn.Linear(64, 32), nn.Linear(32, 32)
        base.weight, base.bias = weight, weight[:, 0]
        frozen.weight, frozen.bias = mx.sin(weight[:, :32]), mx.cos(weight[:, 0])
        model = nn.Sequential(
            lambda x: x.reshape(len(x), -1)[:, :64],
            Adapted(nn.QuantizedLinear.from_linear(base, 32, 4), rank=2),
            frozen,
            nn.BatchNorm(32),
            nn.Linear(32, 3),
        )
        model.layers[1].base.freeze()
        frozen.freeze()
        return model


@exact
def test_invariant_2_adapters_on_a_quantized_base_compiled() -> None:
    end = assert_same_run(LoRA(), {})
    assert not [path for path in end.arrays if "base" in path or "layers.2" in path]
    assert np.array(end.arrays["model.layers.3.running_mean"]).any()


class Watching(Images):
    """Notes which convolution its loss finds."""

    found: list[Any]

    def model(self) -> nn.Module:
        return nn.Sequential(lambda x: x.reshape(len(x), -1), nn.Linear(144, 3))

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        self.found.append(mx.conv2d)
        return super().loss(model, batch, hp)


@pytest.mark.usefixtures("uncompiled")
def test_width_1_is_untouched_and_rules_are_put_back() -> None:
    native, task = mx.conv2d, Watching()
    task.found = []
    train(task, 1, {})
    assert set(task.found) == {native} or device.cuda()
    train(task, 2, {})
    assert set(task.found) - {native}
    assert mx.conv2d is native
    with pytest.raises(ZeroDivisionError):
        over_lanes(lambda x: 1 / 0)(mx.zeros((2,)))
    assert mx.conv2d is native
