"""What MLX has no arrays of is refused with its field and what to do, from arrays and from a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from train_core import Dataset, Task, TaskError
from train_core.data.device_dataset import DeviceDataset

FIELDS = {
    "text": np.array(["a", "b"]),
    "bytes": np.array([b"a", b"b"]),
    "objects": np.array([None, 1], dtype=object),
    "dates": np.array([1, 2], dtype="datetime64[s]"),
    "wide": np.array([1, 2], dtype=np.longdouble),
}


class Rows:
    """Arrays behind `fetch`."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return 2

    def fetch(self, indices: Any) -> dict[str, Any]:
        return {name: array[indices] for name, array in self.arrays.items()}


class Holding(Task):
    """A task whose examples have one field besides x."""

    def __init__(self, field: str, *, sourced: bool) -> None:
        arrays = {"x": np.zeros(2, np.float32), field: FIELDS[field]}
        self.part = Rows(arrays) if sourced else arrays

    def data(self) -> Dataset:
        return Dataset(self.part, self.part)


@pytest.mark.parametrize("sourced", [False, True])
@pytest.mark.parametrize("field", FIELDS)
def test_invariant_10_a_field_that_holds_no_numbers_is_an_error_that_says_what_to_do(
    field: str, sourced: bool
) -> None:
    if FIELDS[field].dtype == np.float64:
        pytest.skip("this machine's long double is an ordinary one")
    with pytest.raises(TaskError) as raised:
        DeviceDataset.of(Holding(field, sourced=sourced))
    assert f"Holding.data: train: field {field} holds" in str(raised.value)
    assert "Encode it as numbers" in str(raised.value)
    assert "bad_cast" not in str(raised.value)
