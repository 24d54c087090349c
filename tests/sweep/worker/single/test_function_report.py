"""What a function yields, as a report, or in a line why it is none."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from sweep.worker.single.function_report import ReportError, reported


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"updates": nan}, "`updates` is nan, not a count. Report how many updates it has made"),
        ({"updates": inf}, "`updates` is inf, not a count"),
        ({"updates": 2.5}, "`updates` is 2.5, not a count"),
        ({"updates": -1}, "`updates` is -1, not a count"),
        ({"examples": nan}, "`examples` is nan, not a count. Report how many examples it has seen"),
        ({"examples": -inf}, "`examples` is -inf, not a count"),
        ({"examples": 1e300}, "`examples` is 1e\\+300, not a count"),
        ({"epoch": nan}, "`epoch` is nan. Report how many epochs it has trained, or leave it out"),
        ({"epoch": inf}, "`epoch` is inf"),
        ({"loss": 10**400}, "`loss` is int 1000000"),
        ({"loss": 1j}, "`loss` is complex 1j, which is no number"),
        ({"loss": None}, "`loss` is NoneType None, which is no number"),
        ({"loss": np.arange(2)}, r"`loss` is ndarray array\(\[0, 1\]\), which is no number"),
        ({"loss": mx.arange(2)}, r"`loss` is array array\(\[0, 1\]"),
    ],
)
def test_what_is_no_count_or_no_number_is_said_in_a_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ReportError, match=f"^{said}") as raised:
        reported({"examples": 10, "loss": 0.5, **changes}, after=0)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("one", [1, 1.0, True, np.int64(1), np.float32(1), np.ones((1, 1)), mx.array(1)])
def test_one_number_of_any_library_is_a_number(one: Any) -> None:
    found = reported({"examples": one, "updates": one, "epoch": one, "loss": one}, after=0)
    assert (found.examples, found.updates, found.epoch, found.metrics) == (1, 1, 1.0, {"loss": 1.0})
    assert type(found.examples) is type(found.updates) is int
