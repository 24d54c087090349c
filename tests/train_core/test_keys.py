"""Keys: prefix-stable, distinct, and the global generator left alone."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from train_core import keys


def value(key: mx.array) -> tuple[int, ...]:
    return tuple(np.array(key, copy=True).tolist())


def test_fold_in_is_distinct_over_parents_children_and_grandchildren() -> None:
    parents = [keys.key(seed) for seed in range(20)]
    children = [keys.fold_in(parent, n) for parent in parents for n in range(20)]
    grandchildren = [keys.fold_in(child, n) for child in children[:40] for n in range(4)]
    everything = [value(key) for key in parents + children + grandchildren]
    assert len(set(everything)) == len(everything)


def test_invariant_6_fold_in_never_changes() -> None:
    assert value(keys.fold_in(keys.key(0), 0)) == GOLDEN[0]
    assert value(keys.fold_in(keys.key(1), 2**32 - 1)) == GOLDEN[1]


def test_fold_in_is_the_same_mapped_and_compiled() -> None:
    parents = mx.stack([keys.key(seed) for seed in range(3)])
    mapped = mx.vmap(keys.fold_in)(parents, mx.array([5, 6, 7], mx.uint32))
    assert [value(row) for row in mapped] == [value(keys.fold_in(p, 5 + i)) for i, p in enumerate(parents)]


def test_permutations_in_a_batch_equal_single_ones() -> None:
    parents = [keys.key(3), keys.key(4)]
    rows = keys.permutations(parents, [0, 9], 31)
    np.testing.assert_array_equal(rows[1], keys.permutations(parents[1:], [9], 31)[0])
    assert sorted(rows[0].tolist()) == list(range(31))
    assert rows[0].tolist() != rows[1].tolist()


def test_invariant_7_the_global_generator_is_put_back() -> None:
    state: Any = mx.random.state
    before = value(state[0])
    with keys.generator(keys.key(5)):
        inside = mx.random.uniform(shape=(3,))
    with keys.generator(keys.key(5)):
        again = mx.random.uniform(shape=(3,))
    mapped = mx.compile(mx.vmap(drawn))(mx.stack([keys.key(5), keys.key(6)]))
    assert value(state[0]) == before
    assert np.array_equal(np.array(inside), np.array(again))
    assert np.array_equal(np.array(mapped[0]), np.array(again))


def drawn(key: mx.array) -> mx.array:
    with keys.generator(key):
        return mx.random.uniform(shape=(3,))


GOLDEN = ((1278412471, 2182328957), (1651027488, 3754805814))
