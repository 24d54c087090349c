"""Assignments by places: in lanes values and gradients are those alone, which MLX's own are not."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tests.train_core.vmap.operations import assert_lanes_equal_alone
from train_core.vmap.rules import over_lanes

SHAPE = (4, 5, 8)
PLACES: dict[str, Any] = {
    "end": np.s_[..., :4],
    "middle": np.s_[:, 1:3],
    "single": np.s_[2],
    "last": np.s_[:, -1, 3:],
    "all": np.s_[:],
    "chosen": (slice(None), mx.array([0, 2])),
}


@pytest.mark.parametrize("name", PLACES)
def test_invariant_2_assignments(name: str) -> None:
    def assigned(x: mx.array) -> mx.array:
        y = x * 3.0
        y[PLACES[name]] = mx.sin(x[PLACES[name]])
        return y

    def filled(x: mx.array) -> mx.array:
        y = x * 3.0
        y[PLACES[name]] = 0.5
        return y

    assert_lanes_equal_alone(assigned, SHAPE)
    assert_lanes_equal_alone(filled, SHAPE)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "minimum"])
def test_invariant_2_updates(name: str) -> None:
    assert_lanes_equal_alone(lambda x: getattr(x.at[..., 1:4], name)(mx.cos(x[..., :3])), SHAPE)
    assert_lanes_equal_alone(lambda x: getattr(x.at[:, 2], name)(3.0), SHAPE)


def test_the_array_itself_is_another_then_and_what_does_not_fit_is_refused() -> None:
    def lane(x: mx.array) -> mx.array:
        shared = mx.zeros((3,))
        same = shared
        shared[1:2] = x
        return same

    assert over_lanes(lane)(mx.array([1.0, 2.0])).tolist() == [[0.0, 1.0, 0.0], [0.0, 2.0, 0.0]]

    def wrong(x: mx.array) -> mx.array:
        y = x * 1
        y[:2] = mx.zeros((3,))
        return y

    with pytest.raises(ValueError, match="broadcast"):
        over_lanes(wrong)(mx.zeros((2, 4)))
