"""Records of the log: their kinds, the fields each must have, and one line of JSON each way.

A record is one line `{"event":KIND,"time":SECONDS,...}`, compact, `event` first, so that a reader can
tell kinds apart without parsing. JSON has no word for a number that is not finite: it is written as
the object `{"float":"NaN"}`, `{"float":"Infinity"}` or `{"float":"-Infinity"}`, wherever it occurs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from json import encoder
from typing import Any

from runlog.layout import FORMAT
from runlog.numbers import encode_numbers
from runlog.report import Report
from runlog.snapshot import Snapshot

Record = dict[str, Any]
"""One parsed line."""


def _required(kind: type[Report | Snapshot]) -> str:
    """The fields without a default: those that every version has written."""
    return " ".join(each.name for each in fields(kind) if each.default is each.default_factory is MISSING)


FIELDS: Mapping[str, frozenset[str]] = {
    kind: frozenset(("time", *fields.split()))
    for kind, fields in {
        "opened": "format session host pid objectives choices trials",
        "edited": "before after",
        "evolved": "judged changes",
        "asked": "trial params hyperparameters seed",
        "report": _required(Report),
        "checkpoint": _required(Snapshot),
        "file": "path bytes crc32",
        "checkpoint_stored": "path url",
        "checkpoint_removed": "path",
        "told": "trial state values reason ledger",
        "lost": "slot host reason",
        "slot": "slot host chip",
        "retry": "trials",
        "request": "id verb arguments accepted answer",
        "withdrawn": "settings points",
        "message": "level text",
        "notified": "about to",
        "final": "trial metrics samples",
        "closed": "reason",
    }.items()
}
"""What a record of each kind must have; one that lacks a field, or is of another kind, counts as damaged."""

PREFIX = b'{"event":"'
"""How every line begins."""


def json_writer(*, allow_nan: bool) -> Callable[[object], str]:
    """What `json.dumps` gives, without spaces, three times as fast: that makes its encoder for every value.

    The function raises ValueError for numbers that are not finite, unless they are allowed.
    """
    plain = json.JSONEncoder(separators=(",", ":"), allow_nan=allow_nan, check_circular=False)
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:  # an interpreter without the C part
        return plain.encode
    text, separators = encoder.encode_basestring_ascii, (plain.key_separator, plain.item_separator)
    encode = make(None, plain.default, text, None, *separators, False, False, allow_nan)
    return lambda value: "".join(encode(value, 0))


_as_json = json_writer(allow_nan=False)


def encode(event: str, time: float, fields: Mapping[str, Any]) -> bytes:
    """Write one record as a line, its newline included."""
    record = {"event": event, "time": time, **fields}
    try:
        text = _as_json(record)
    except ValueError:
        text = _as_json(encode_numbers(record))
    return text.encode("ascii") + b"\n"


def is_record(value: Any) -> bool:
    """Whether a parsed line is a record of a known kind with all it must have, or opens a newer format."""
    if type(value) is not dict or type(event := value.get("event")) is not str:
        return False
    fields = FIELDS.get(event)
    return fields is not None and (fields <= value.keys() or (event == "opened" and is_newer(value)))


def is_newer(opened: Record) -> bool:
    """Whether an `opened` record announces a format that this version cannot read."""
    return type(opened.get("format")) is int and opened["format"] > FORMAT
