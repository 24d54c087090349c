"""NumPy and MLX never share a buffer, in either direction."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tests.train_core.conftest import BASE, Small, program_of
from train_core import Dataset, Length, Population, keys, numpy_boundary


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8, np.float16, np.int64, np.float64])
def test_what_goes_in_and_out_is_a_copy(dtype: Any) -> None:
    array = np.arange(6).astype(dtype).reshape(2, 3)
    inside = numpy_boundary.to_mlx(array)
    array[:] = 9
    np.testing.assert_array_equal(np.array(inside), np.arange(6).reshape(2, 3))
    out = numpy_boundary.to_numpy(inside)
    out[:] = 9
    np.testing.assert_array_equal(np.array(inside), np.arange(6).reshape(2, 3))


def test_integers_that_do_not_fit_32_bits_keep_64() -> None:
    assert numpy_boundary.to_mlx(np.array([1, 2])).dtype == mx.int32
    assert numpy_boundary.to_mlx(np.array([1, 2**40])).dtype == mx.int64


def test_raw_bytes_are_row_major_whatever_the_layout() -> None:
    array = mx.arange(6).reshape(2, 3)
    assert numpy_boundary.raw_bytes(array.T) == np.arange(6, dtype=np.int32).reshape(2, 3).T.tobytes()
    assert len(numpy_boundary.raw_bytes(mx.ones(3, mx.bfloat16))) == 6


class Keeping(Small):
    """Keeps hold of the arrays it gave."""

    def __init__(self) -> None:
        self.given = super().data()

    def data(self) -> Dataset:
        return self.given


@pytest.mark.usefixtures("uncompiled")
def test_invariant_7_a_tasks_own_arrays_and_the_devices_are_apart() -> None:
    task = Keeping()
    before = {name: np.array(array) for name, array in task.given.train.items()}  # type: ignore[union-attr]
    program = program_of(task, **BASE)
    population = Population(program, 1)
    population.load(0, key=keys.key(0), hyperparameters=BASE, length=Length(40, 40))
    (report,) = population.advance().reports
    for name, array in task.given.train.items():  # type: ignore[union-attr]
        np.testing.assert_array_equal(array, before[name])
        array[:] = 0
    again = Population(program, 1)
    again.load(0, key=keys.key(0), hyperparameters=BASE, length=Length(40, 40))
    (second,) = again.advance().reports
    assert second.metrics == report.metrics
