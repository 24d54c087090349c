"""Values of NumPy, MLX and pandas, as the plain ones that they mean."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pandas as pd
import pytest

from configfile import plain, yamlfile


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.float64(0.1), 0.1),
        (np.float32(0.1), 0.1),
        (np.float16(0.1), 0.1),
        (np.float32(1e-4), 1e-4),
        (np.array(0.1, np.float32), 0.1),
        (np.longdouble("0.1"), 0.1),
        (np.bool_(True), True),
        (np.str_("sgd"), "sgd"),
        (mx.array(2), 2),
        (0.1, 0.1),
        ("word", "word"),
        (None, None),
    ],
)
def test_a_single_value_is_python_s(value: Any, expected: Any) -> None:
    found = plain.scalar(value)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    "row", [np.array([1, 2]), np.array(["a", "b"]), mx.array([1, 2]), pd.Series([0.5, 1.5]), np.arange(0)]
)
def test_an_array_of_one_dimension_is_a_list(row: Any) -> None:
    found = yamlfile.document({"values": row}, "study").value["values"]
    assert found == row.tolist()
    assert all(type(each) in (int, float, str) for each in found)
