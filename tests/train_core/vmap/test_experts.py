"""Products with matrices chosen by index: in lanes each equals its run alone, bit for bit on the CPU."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tests.train_core.conftest import EXACT
from tests.train_core.vmap.operations import WIDTH, assert_lanes_equal_alone
from train_core.vmap.rules import over_lanes

EXPERTS, TOKENS, INPUTS, OUTPUTS = 4, 40, 32, 6 if EXACT else 8
"""Six are harder; of those MLX's own product on CUDA, without lanes, fails: "misaligned address"."""
BASE = mx.random.normal((EXPERTS, OUTPUTS, INPUTS), key=mx.random.key(7))
FIXED = mx.array([0, 1, 2, 3] * (TOKENS // 4), mx.uint32)


def chosen(x: mx.array, *, in_order: bool = False) -> mx.array:
    """Which matrix each token takes: another in each lane."""
    found = mx.argmax(x.reshape(-1, INPUTS)[:, :EXPERTS], axis=-1)
    return mx.stop_gradient(mx.sort(found) if in_order else found)


def two(x: mx.array) -> mx.array:
    return mx.stop_gradient(mx.argsort(x.reshape(-1, INPUTS)[:, :EXPERTS], axis=-1)[:, :2])


@pytest.mark.parametrize("in_order", [False, True])
def test_invariant_2_products_with_chosen_matrices(in_order: bool) -> None:
    def shared(x: mx.array) -> mx.array:
        indices = chosen(x, in_order=in_order)
        return mx.gather_mm(x, BASE.swapaxes(-1, -2), rhs_indices=indices, sorted_indices=in_order)

    def own(x: mx.array, w: mx.array) -> mx.array:
        indices = chosen(x, in_order=in_order)
        return mx.gather_mm(x, w.swapaxes(-1, -2), rhs_indices=indices, sorted_indices=in_order)

    assert_lanes_equal_alone(shared, (TOKENS, 1, INPUTS))
    assert_lanes_equal_alone(own, (TOKENS, 1, INPUTS), (EXPERTS, OUTPUTS, INPUTS))


def test_invariant_2_several_matrices_a_token_and_indices_on_either_side() -> None:
    x, w, many = (TOKENS, 1, INPUTS), (EXPERTS, INPUTS, OUTPUTS), (EXPERTS, 3, INPUTS)
    assert_lanes_equal_alone(lambda x: mx.gather_mm(x, BASE.mT, rhs_indices=two(x)), (TOKENS, 1, 1, INPUTS))
    assert_lanes_equal_alone(lambda x, w: mx.gather_mm(x, w, rhs_indices=two(x)), (TOKENS, 1, 1, INPUTS), w)
    assert_lanes_equal_alone(lambda w: mx.gather_mm(mx.ones(x), w, rhs_indices=FIXED), w)
    assert_lanes_equal_alone(
        lambda a, b: mx.gather_mm(a, b, lhs_indices=FIXED), many, (TOKENS, INPUTS, OUTPUTS)
    )
    assert_lanes_equal_alone(lambda a, b: mx.gather_mm(a, b, FIXED, FIXED), many, w)
    assert_lanes_equal_alone(lambda a, b: mx.gather_mm(a, b), many, w)


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize(("mode", "transpose"), [("affine", True), ("affine", False), ("mxfp4", True)])
def test_invariant_2_products_with_chosen_quantized_matrices(
    mode: str, transpose: bool, in_order: bool
) -> None:
    found: Any = mx.quantize(BASE if transpose else BASE.mT @ BASE, 32, 4, mode=mode)
    w, scales, biases = (*found, None)[:3]

    def product(x: mx.array) -> mx.array:
        return mx.gather_qmm(
            x, w, scales, biases, rhs_indices=chosen(x, in_order=in_order), transpose=transpose,
            group_size=32, bits=4, mode=mode, sorted_indices=in_order,
        )  # fmt: skip

    assert_lanes_equal_alone(product, (TOKENS, 1, INPUTS))


def test_invariant_2_of_what_all_lanes_share_nothing_comes_out_otherwise() -> None:
    x = mx.random.normal((TOKENS, 1, INPUTS), key=mx.random.key(2))

    def lane(lane: mx.array) -> mx.array:
        return mx.gather_mm(x, BASE.mT, rhs_indices=FIXED) + lane

    for row in over_lanes(lane)(mx.zeros((WIDTH,))):
        np.testing.assert_allclose(np.array(row), np.array(lane(mx.array(0.0))), rtol=1e-5, atol=1e-5)
