"""Parameters as one vector: nothing is lost, matrices are aligned, an update is the same leaf by leaf."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from train_core import keys
from train_core.hyperparameters import OPTIMIZERS
from train_core.step import accumulate
from train_core.step.optim import NUMBERS, Optimizer
from train_core.step.vector import ALIGNED, Layout

SHAPES = {"bias": (5,), "matrix": (3, 7), "kernel": (4, 3, 3, 2), "gain": (130,), "number": ()}


def leaves(*lanes: int, seed: int = 0) -> dict[str, mx.array]:
    return {
        path: mx.random.normal((*lanes, *shape), key=keys.fold_in(keys.key(seed), n))
        for n, (path, shape) in enumerate(SHAPES.items())
    }


@pytest.mark.parametrize("lanes", [(), (3,)])
def test_what_is_joined_splits_into_the_same_leaves_in_the_same_order(lanes: tuple[int, ...]) -> None:
    layout = Layout.of(leaves(), {"matrix", "kernel"})
    given = leaves(*lanes)
    found = layout.split(layout.join(given))
    assert list(found) == list(given)
    for path, leaf in given.items():
        assert found[path].shape == leaf.shape
        np.testing.assert_array_equal(np.array(found[path]), np.array(leaf), err_msg=path)


def test_a_turned_leaf_is_joined_from_its_gradient_without_a_copy() -> None:
    layout = Layout.of({"matrix": mx.zeros((3, 7))}, {"matrix"})
    gradient = mx.arange(21.0).reshape(7, 3)  # x.T @ out, as MLX has it before it turns it
    np.testing.assert_array_equal(np.array(layout.join({"matrix": gradient.T})[:21]), np.arange(21.0))


def test_matrices_and_rows_of_lanes_begin_aligned_and_gaps_are_zero() -> None:
    layout = Layout.of(leaves())
    starts = {piece.path: piece.start for piece in layout.pieces}
    assert starts["matrix"] % ALIGNED == starts["kernel"] % ALIGNED == 0
    vector = layout.join(leaves(2))
    assert vector.shape[1] % ALIGNED == 0
    squares = sum(float(mx.square(leaf).sum()) for leaf in leaves(2).values())
    assert float(mx.square(vector).sum()) == pytest.approx(squares, rel=1e-5)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_gaps_stay_out_of_every_optimizer(name: str) -> None:
    layout = Layout.of(leaves())
    optimizer = Optimizer(name, layout)
    vector = layout.join(leaves())
    hp = {number: mx.array(0.5) for number in NUMBERS}
    state = optimizer.init(vector)
    for seed in (1, 2):
        vector, state = optimizer.update(vector, layout.join(leaves(seed=seed)), state, hp, mx.array(0.1))
    again = layout.join(layout.split(vector))  # with gaps of zeros
    np.testing.assert_array_equal(np.array(vector), np.array(again))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_state_by_name_is_the_state(name: str) -> None:
    layout = Layout.of(leaves())
    optimizer = Optimizer(name, layout)
    state = optimizer.init(layout.join(leaves()))
    named = optimizer.named(state)
    assert set(named) == {"step", *SHAPES}
    again = optimizer.packed(named)
    assert again.keys() == state.keys()
    assert mx.array_equal(again["step"], state["step"])


def test_the_mean_of_a_buffer_is_clipped_by_the_norm_of_all_leaves() -> None:
    layout = Layout.of(leaves())
    summed, weight = layout.join(leaves(2)), mx.array([2.0, 0.0])
    mean = accumulate.mean(summed, weight, mx.array([0.5, 0.5]))
    assert float(accumulate.norm(mean)[0]) == pytest.approx(0.5, rel=1e-5)
    direction = np.array(mean[0]) / np.array(summed[0] + 1e-30)
    used = np.array(summed[0]) != 0
    np.testing.assert_allclose(direction[used], direction[used][0], rtol=1e-4)
