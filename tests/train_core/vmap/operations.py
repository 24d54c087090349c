"""One operation and its gradients, in lanes and alone."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

from tests.train_core.conftest import EXACT
from train_core.vmap.rules import alone, over_lanes

WIDTH = 3
Operation = Callable[..., mx.array]


def gradients(operation: Operation, *arguments: mx.array) -> tuple[mx.array, ...]:
    """Return the operation's value and the gradients of a nonlinear function of it."""
    numbers = tuple(range(len(arguments)))
    found = mx.grad(lambda *a: mx.sin(operation(*a)).sum(), argnums=numbers)(*arguments)
    return operation(*arguments), *((found,) if isinstance(found, mx.array) else found)


def assert_lanes_equal_alone(
    operation: Operation, *shapes: tuple[int, ...], dtype: mx.Dtype = mx.float32
) -> None:
    """Exact on a CPU, else to rounding."""

    def lane(*arguments: mx.array) -> tuple[mx.array, ...]:
        return gradients(operation, *arguments)

    drawn = [mx.random.normal((WIDTH, *s), key=mx.random.key(i)) for i, s in enumerate(shapes)]
    lanes = [leaf.astype(dtype) for leaf in drawn]
    mapped = over_lanes(lane)(*lanes)
    for i in range(WIDTH):
        for found, expected in zip(mapped, alone(lane)(*(leaf[i] for leaf in lanes)), strict=True):
            assert found.dtype == expected.dtype
            one, other = (np.array(leaf.astype(mx.float32)) for leaf in (found[i], expected))
            if EXACT:
                np.testing.assert_array_equal(one, other)
            else:
                np.testing.assert_allclose(one, other, rtol=2e-2, atol=2e-2 * abs(other).max())
