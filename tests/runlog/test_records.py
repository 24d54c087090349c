import json
import math
from enum import IntEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runlog.numbers import decode_mapping, decode_number
from runlog.records import PREFIX, encode, is_record, json_writer


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.floats()))
def test_every_float_survives_strict_json(metrics: dict[str, float]) -> None:
    line = encode("report", 1.5, {"metrics": metrics})
    assert line.startswith(PREFIX)
    assert line.count(b"\n") == 1

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    back = decode_mapping(json.loads(line, parse_constant=refuse)["metrics"])
    assert {name: repr(value) for name, value in back.items()} == {
        name: repr(value) for name, value in metrics.items()
    }


def test_numbers_that_are_not_finite_are_told_from_words() -> None:
    line = encode("asked", 0.0, {"params": {"clip": math.inf, "name": "Infinity", "nested": [-math.inf]}})
    params = json.loads(line)["params"]
    assert params == {"clip": {"float": "Infinity"}, "name": "Infinity", "nested": [{"float": "-Infinity"}]}
    assert decode_number(params["clip"]) == math.inf


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        ({"event": "closed", "time": 1.0, "reason": "finished"}, True),
        ({"event": "closed", "time": 1.0}, False),
        ({"event": "closed", "reason": "finished"}, False),
        ({"event": "of another kind", "time": 1.0}, False),
        ({"event": "opened", "time": 1.0}, False),
        ({"event": "opened", "format": 3}, True),
        ({"event": 3}, False),
        ({"time": 1.0}, False),
        (["closed"], False),
        (None, False),
    ],
)
def test_a_record_has_all_that_its_kind_must_have(value: object, fine: bool) -> None:
    assert is_record(value) is fine


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Word(IntEnum):
    ONE = 1


@settings(deadline=None)
@given(VALUES)
def test_the_writer_writes_what_json_does(value: object) -> None:
    assert json_writer(allow_nan=True)(value) == json.dumps(value, separators=(",", ":"))


def test_a_refusal_leaves_no_trace() -> None:
    write = json_writer(allow_nan=False)
    record = {"metrics": {"loss": math.nan}, "op": Word.ONE}
    for _ in range(2):
        with pytest.raises(ValueError, match="JSON compliant"):
            write(record)
        with pytest.raises(TypeError):
            write({"value": object()})
    record["metrics"] = {"loss": 1.0}
    assert write(record) == '{"metrics":{"loss":1.0},"op":1}'
