"""Keys: explicit, prefix-stable, and the only source of randomness.

A key is a `uint32[2]` array. Everything here is pure except `generator`, which puts MLX's global
generator under an explicit key for a block (inside a trace too) and leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt

INIT, DATA, AUGMENT, DROPOUT, BATCHES = range(5)
"""The streams of a run: each is `fold_in(run's key, constant)`."""


def key(seed: int) -> mx.array:
    """Return the root key of a seed."""
    return mx.random.key(seed)


def fold_in(parent: mx.array, n: int | mx.array) -> mx.array:
    """Return the n-th key under `parent`, 0 <= n < 2**32; it depends on nothing but these two.

    The parent is hashed before n is added and the sum is hashed again, so that neighbouring
    parents (`key(5)`, `key(6)`) share no children. `split(parent, count)[n]` would depend on count.
    """
    hashed = mx.random.split(parent)[0]
    # Added in uint32, so it wraps: n may be a traced array and is never read on the host.
    low = hashed[1] + mx.array(n, mx.uint32)
    return mx.random.split(mx.stack([hashed[0], low]))[1]


def permutations(parents: Sequence[mx.array], epochs: Sequence[int], size: int) -> npt.NDArray[np.uint32]:
    """Return one permutation of range(size) a row, row i from `fold_in(parents[i], epochs[i])`.

    One batched call for many lanes: on a GPU a call a lane would cost more than the training.
    """
    one = mx.vmap(lambda parent, epoch: mx.random.permutation(size, key=fold_in(parent, epoch)))
    # Not compiled: the number of epochs differs from call to call, each would be a trace.
    rows = one(mx.stack(list(parents)), mx.array(np.asarray(epochs, np.uint32)))
    return np.array(rows.astype(mx.uint32), copy=True)


@contextmanager
def generator(key: mx.array) -> Iterator[None]:
    """Let layers that draw from the global generator draw under `key`; afterwards it is as before."""
    state: Any = mx.random.state
    # A copy, and the key written in place: layers and MLX hold this list and this array, a new one would
    # not be seen; in a trace the written value is the tracer, so it must not stay behind.
    saved = mx.array(state[0])
    state[0][:] = key
    try:
        yield
    finally:
        state[0][:] = saved
