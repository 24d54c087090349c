"""JSON on one line: what `json.dumps` gives, whatever was refused before."""

from __future__ import annotations

import json
import math
from enum import IntEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runlog import compact

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Word(IntEnum):
    ONE = 1


@settings(deadline=None)
@given(VALUES)
def test_it_is_what_json_writes(value: object) -> None:
    assert compact.writer(allow_nan=True)(value) == json.dumps(value, separators=(",", ":"))


def test_a_refusal_leaves_no_trace() -> None:
    write = compact.writer(allow_nan=False)
    record = {"metrics": {"loss": math.nan}, "op": Word.ONE}
    for _ in range(2):
        with pytest.raises(ValueError, match="JSON compliant"):
            write(record)
        with pytest.raises(TypeError):
            write({"value": object()})
    record["metrics"] = {"loss": 1.0}
    assert write(record) == '{"metrics":{"loss":1.0},"op":1}'
