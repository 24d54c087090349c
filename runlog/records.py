"""Records of the log: their kinds, the fields each must have, and one line of JSON each way.

A record is one line `{"event":KIND,"time":SECONDS,...}`, compact, `event` first, so that a reader can
tell kinds apart without parsing. JSON has no word for a number that is not finite: it is written as
the object `{"float":"NaN"}`, `{"float":"Infinity"}` or `{"float":"-Infinity"}`, wherever it occurs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from runlog.layout import FORMAT

Record = dict[str, Any]
"""One parsed line."""

FIELDS: Mapping[str, frozenset[str]] = {
    kind: frozenset(("time", *fields.split()))
    for kind, fields in {
        "opened": "format session host pid objectives choices trials",
        "asked": "trial params hyperparameters seed",
        "report": "trial replicate examples epoch updates attempt width lane host metrics",
        "checkpoint": "trial replicate examples path bytes sha256 final",
        "checkpoint_stored": "path url",
        "checkpoint_removed": "path",
        "told": "trial state values reason ledger",
        "lost": "slot host reason",
        "slot": "slot host chip",
        "message": "level text",
        "closed": "reason",
    }.items()
}
"""What a record of each kind must have; one that lacks a field, or is of another kind, counts as damaged."""

PREFIX = b'{"event":"'
"""How every line begins."""

_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def encode(event: str, time: float, fields: Mapping[str, Any]) -> bytes:
    """Write one record as a line, its newline included."""
    record = {"event": event, "time": time, **fields}
    try:
        text = _encoder.encode(record)
    except ValueError:
        text = _encoder.encode(_finite(record))
    return text.encode("ascii") + b"\n"


def decode_number(value: Any) -> Any:
    """Give a field's value back, a non-finite number as the float it stands for."""
    return float(value["float"]) if type(value) is dict else value


def decode_mapping(values: Mapping[str, Any]) -> dict[str, Any]:
    """`decode_number` of each value: metrics, hyperparameters, a ledger."""
    return {name: decode_number(value) for name, value in values.items()}


def is_record(value: Any) -> bool:
    """Whether a parsed line is a record of a known kind with all it must have, or opens a newer format."""
    if type(value) is not dict or type(event := value.get("event")) is not str:
        return False
    fields = FIELDS.get(event)
    return fields is not None and (fields <= value.keys() or (event == "opened" and is_newer(value)))


def is_newer(opened: Record) -> bool:
    """Whether an `opened` record announces a format that this version cannot read."""
    return type(opened.get("format")) is int and opened["format"] > FORMAT


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
