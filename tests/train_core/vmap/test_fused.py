"""Fused kernels, activations and arithmetic in lanes: each equals its run alone, bit for bit on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tests.train_core.conftest import kernels
from tests.train_core.vmap.operations import WIDTH, assert_lanes_equal_alone, gradients
from train_core.vmap import activations, custom, fused
from train_core.vmap.rules import alone, over_lanes

Q, KV = (2, 4, 8, 16), (2, 2, 8, 16)


def attention(mask: Any = None) -> Callable[..., mx.array]:
    def called(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=0.25, mask=mask)

    return called


def drawn(*shape: int, seed: int = 9) -> mx.array:
    return mx.random.normal(shape, key=mx.random.key(seed))


@pytest.mark.parametrize("kv", [Q, KV], ids=["heads", "grouped heads"])
@pytest.mark.parametrize(
    "mask",
    [None, "causal", drawn(8, 8) > 0, drawn(2, 1, 8, 8) > -1, drawn(1, 4, 8, 8), drawn(2, 4, 8, 8)],
    ids=["none", "causal", "boolean", "boolean by example", "additive", "additive by example"],
)
def test_invariant_2_attention(kv: tuple[int, ...], mask: Any) -> None:
    assert_lanes_equal_alone(attention(mask), Q, kv, kv)


@pytest.mark.usefixtures("as_on_gpu")
def test_a_gpus_attention_is_computed_once_for_both_passes(tmp_path: Path) -> None:
    lanes = [drawn(WIDTH, *Q, seed=i) for i in range(3)]
    mx.eval(lanes)

    def both(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
        return mx.concatenate(list(gradients(attention(), q, k, v)))

    names = kernels(mx.compile(over_lanes(both))(*lanes), tmp_path)
    assert sum("Softmax" in name for name in names) == 1
    found, expected = over_lanes(both)(*lanes), mx.vmap(both)(*lanes)
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-5, atol=1e-6)


def test_invariant_2_attention_with_a_mask_of_each_lane_that_is_learned() -> None:
    def biased(q: mx.array, k: mx.array, v: mx.array, bias: mx.array) -> mx.array:
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=0.25, mask=bias)

    assert_lanes_equal_alone(biased, Q, Q, Q, (4, 8, 8))
    assert_lanes_equal_alone(biased, Q, Q, Q, (2, 1, 8, 8))


def test_invariant_2_attention_below_float32_and_over_keys_that_all_lanes_share() -> None:
    k, v = drawn(*KV), drawn(*KV, seed=8)
    assert_lanes_equal_alone(attention("causal"), Q, KV, KV, dtype=mx.bfloat16)
    assert_lanes_equal_alone(lambda q: attention()(q, k, v), Q)


def test_attention_in_lanes_is_one_call_over_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    native = fused._attention

    def noting(q: mx.array, *rest: Any, **named: Any) -> mx.array:
        seen.append(tuple(q.shape))
        return native(q, *rest, **named)

    monkeypatch.setattr(fused, "_attention", noting)
    over_lanes(attention())(*(drawn(WIDTH, *Q, seed=i) for i in range(3)))
    assert seen[-1] == (WIDTH * Q[0], *Q[1:])


@pytest.mark.parametrize("offset", [0, 3])
def test_invariant_2_rotary_places(offset: int) -> None:
    assert_lanes_equal_alone(nn.RoPE(16), Q)
    assert_lanes_equal_alone(lambda x: nn.RoPE(16, traditional=True)(x, offset), Q)


ARITHMETIC: dict[str, Callable[..., mx.array]] = {
    "numbers": lambda x: (2 - 0.5 * x) / 3 + x**3 - 1 / (2 + mx.square(x)),
    "functions": lambda x: mx.tanh(x) * mx.sigmoid(x) + mx.rsqrt(1 + mx.abs(x)) + mx.erf(x),
    "bounds": lambda x: mx.maximum(x, 0.1) + mx.minimum(0.2, x) + mx.clip(x, -0.5, 0.5),
    "branches": lambda x: mx.where(x > 0, x, 0.01 * x) + mx.where(mx.greater(x, 1), 0.0, x),
    "variance": lambda x: (
        (x - x.mean(axis=-1, keepdims=True)) / mx.var(x, axis=(1, 2), keepdims=True, ddof=1)
    ),
    "gelu": nn.gelu,
    "gelu_approx": nn.gelu_approx,
    "silu": nn.silu,
    "elu": nn.elu,
    "mish": nn.mish,
    "hardswish": nn.hardswish,
}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_invariant_2_arithmetic_with_numbers(name: str) -> None:
    assert_lanes_equal_alone(ARITHMETIC[name], (3, 4, 5))
    assert_lanes_equal_alone(ARITHMETIC[name], (3, 4, 5), dtype=mx.bfloat16)


def test_invariant_2_arithmetic_of_arrays_of_different_dimensions() -> None:
    def before(x: mx.array, gain: mx.array, rate: mx.array) -> mx.array:
        return gain * x + rate * x - mx.maximum(rate, x) / (3 + mx.square(gain))

    assert_lanes_equal_alone(before, (2, 3, 4), (4,), ())


def test_a_vector_before_an_array_leaves_lanes_first() -> None:
    def lane(x: mx.array, gain: mx.array) -> mx.array:
        return gain * x

    x, gain = drawn(WIDTH, 2, 5, 3), drawn(WIDTH, 3)
    found = over_lanes(lane)(x, gain)
    mx.eval(found)
    assert np.asarray(found).flags.c_contiguous


def test_operators_are_those_of_mlx_outside_of_lanes() -> None:
    native = mx.array.__mul__, mx.tanh, nn.gelu
    over_lanes(lambda x: 2 * mx.tanh(x))(drawn(WIDTH, 2))
    assert (mx.array.__mul__, mx.tanh, nn.gelu) == native


@pytest.mark.parametrize("switched_on", [True, False])
def test_functions_that_are_compiled_by_themselves_keep_no_rule(switched_on: bool) -> None:
    calls: list[int] = []

    @mx.compile
    def own(x: mx.array) -> mx.array:
        calls.append(1)
        return 2 * mx.tanh(x)

    if not switched_on:
        mx.disable_compile()
    try:
        over_lanes(own)(drawn(WIDTH, 2))
        for _ in range(3):
            mx.eval(own(drawn(2)))
    finally:
        mx.enable_compile()
    assert len(calls) == (2 if switched_on else 4)  # in lanes, and once or each time outside


def test_what_is_shared_has_a_gradient_in_every_lane() -> None:
    shared = drawn(4)

    def lane(x: mx.array) -> mx.array:
        product = custom.in_lanes(mx.multiply, lambda arrays, _: arrays[0] * arrays[1])
        found: mx.array = mx.grad(lambda s: product(x, s).sum())(shared)
        return found

    x = drawn(WIDTH, 4)
    np.testing.assert_array_equal(np.array(mx.vmap(lane)(x)), np.array(x))


LAYERS: dict[str, tuple[Callable[..., mx.array], tuple[tuple[int, ...], ...]]] = {
    "layer_norm": (lambda x, w, b: mx.fast.layer_norm(x, w, b, 1e-5), ((2, 3, 8), (8,), (8,))),
    "layer_norm without bias": (lambda x, w: mx.fast.layer_norm(x, w, None, 1e-5), ((2, 3, 8), (8,))),
    "layer_norm alone": (lambda x: mx.fast.layer_norm(x, None, None, 1e-5), ((2, 3, 8),)),
    "rms_norm": (lambda x, w: mx.fast.rms_norm(x, w, 1e-5), ((2, 3, 8), (8,))),
    "cross_entropy": (lambda x: mx.fast.cross_entropy(x, mx.array([1, 0, 2, 1])), ((4, 3),)),
    "gelu": (nn.gelu, ((2, 3, 8),)),
    "gelu_approx": (nn.gelu_approx, ((2, 3, 8),)),
    "silu": (nn.silu, ((2, 3, 8),)),
}


@pytest.mark.usefixtures("as_on_gpu")
@pytest.mark.parametrize("name", LAYERS)
def test_a_gpus_rules_for_layers_equal_alone_to_rounding(name: str) -> None:
    operation, shapes = LAYERS[name]
    lanes = [drawn(WIDTH, *shape, seed=i) for i, shape in enumerate(shapes)]

    def lane(*arrays: mx.array) -> tuple[mx.array, ...]:
        return gradients(operation, *arrays)

    mapped = over_lanes(lane)(*lanes)
    for i in range(WIDTH):
        own = tuple(a[i] for a in lanes)
        for found, by_itself, native in zip(mapped, alone(lane)(*own), lane(*own), strict=True):
            np.testing.assert_allclose(np.array(found[i]), np.array(native), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(np.array(by_itself), np.array(native), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", activations._KNOWN)
def test_an_activations_derivative_is_that_of_its_function(name: str) -> None:
    function, pulled = activations._KNOWN[name]
    x = mx.linspace(-4, 4, 201)
    np.testing.assert_allclose(np.array(function(x)), np.array(getattr(nn, name)(x)), atol=2e-6)
    np.testing.assert_allclose(
        np.array(pulled(x, 3 * mx.ones(201))),
        np.array(3 * mx.grad(lambda x: function(x).sum())(x)),
        atol=6e-6,
    )


@pytest.mark.parametrize("name", activations._KNOWN)
def test_an_activations_gradient_is_one_kernel(name: str, tmp_path: Path) -> None:
    rule = activations.fused(getattr(nn, name), *activations._KNOWN[name])
    x, out = (drawn(4, 8, seed=i).astype(mx.bfloat16) for i in range(2))
    mx.eval(x, out)
    compiled = mx.compile(lambda x, out: mx.vjp(rule, [x], [out])[1][0])
    assert len(kernels(compiled(x, out), tmp_path)) == 1


@pytest.mark.usefixtures("as_on_gpu")
@pytest.mark.parametrize("name", [name for name in LAYERS if "norm" in name])
def test_the_gradients_of_a_norms_weights_in_lanes_below_float32(name: str) -> None:
    operation, shapes = LAYERS[name]
    lanes = [drawn(WIDTH, *shape, seed=i).astype(mx.bfloat16) for i, shape in enumerate(shapes)]
    mapped = over_lanes(lambda *arrays: gradients(operation, *arrays))(*lanes)
    for i in range(WIDTH):
        for found, exact in zip(
            mapped, gradients(operation, *(a[i].astype(mx.float32) for a in lanes)), strict=True
        ):
            np.testing.assert_allclose(
                np.array(found[i].astype(mx.float32)), np.array(exact), rtol=0.05, atol=0.05
            )


def test_below_float32_an_activation_is_rounded_once() -> None:
    x = drawn(4096).astype(mx.bfloat16)
    rule = activations.fused(nn.gelu, *activations._KNOWN["gelu"])
    exact = nn.gelu(x.astype(mx.float32))
    assert mx.array_equal(rule(x), exact.astype(mx.bfloat16))
