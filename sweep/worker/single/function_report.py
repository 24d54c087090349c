"""What a function yields or returns, as a report; and what it raises, in words."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from train_core.written_at import in_cell, own_frame

COLUMNS = ("trial", "replicate", "attempt", "width", "lane", "host", "time")
"""Names that a table of reports has of its own."""

FOREIGN = ("/sweep/worker/",)
"""Files of ours that call the user's code, and are called by it."""


LONGEST_NAME = 200
"""A metric's name is a table's column."""

MOST = 2**53
"""Above it floats skip integers: no count is so large."""


class ReportError(Exception):
    """A yielded or returned value is no report; the text says why."""

    lasting = True
    """Whether the next try would end the same."""


@dataclass(frozen=True)
class Reported:
    """A report before it is one of a run."""

    examples: int
    epoch: float
    updates: int
    metrics: Mapping[str, float]


def reported(value: Any, *, after: int, objective: str | None = None) -> Reported:
    """A yielded mapping as a report. Raises ReportError where it is none.

    `after` is where the trial reported last, in examples. The key None stands for the `objective`.
    """
    if not isinstance(value, Mapping):
        raise ReportError(
            f"the function yielded {_short(value)}, which is no report. "
            'Yield a dict such as {"examples": 100, "validation_loss": loss}'
        )
    values = {str(name if name is not None else objective): item for name, item in value.items()}
    examples = _examples(values, after)
    for name in values:
        if name in COLUMNS:
            raise ReportError(f"the metric {name} has the name of a table's own column. Call it otherwise")
        if not name or not name.isprintable() or len(name) > LONGEST_NAME:
            raise ReportError(f"{_shortened(repr(name))} cannot be a metric's name. Call it otherwise")
    numbers = {name: _number(name, item) for name, item in values.items() if name != "examples"}
    epoch = numbers.pop("epoch", 0.0)
    if not isfinite(epoch):
        raise ReportError(f"`epoch` is {epoch:g}. Report how many epochs it has trained, or leave it out")
    updates = numbers.pop("updates", 0.0)
    if not _is_count(updates):
        raise ReportError(f"`updates` is {updates:g}, not a count. Report how many updates it has made")
    return Reported(examples, epoch, int(updates), numbers)


def _examples(values: Mapping[str, Any], after: int) -> int:
    if "examples" not in values:
        raise ReportError(
            f"the function yielded {', '.join(values) or 'nothing'} without `examples`. "
            'Add how many examples it has seen, such as {"examples": 100, ...}'
        )
    number = _number("examples", values["examples"])
    if not _is_count(number):
        raise ReportError(f"`examples` is {number:g}, not a count. Report how many examples it has seen")
    if number < 1:
        raise ReportError("`examples` is 0. Report after the first example that was seen")
    if number <= after:
        raise ReportError(
            f"`examples` is {number:g} after {after}. Report more each time, all of one count at once; "
            "a trial that resumes continues from what it saved"
        )
    return int(number)


def _is_count(number: float) -> bool:
    return number.is_integer() and 0 <= number <= MOST


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, OverflowError):
        raise ReportError(f"`{name}` is {_short(value)}, which is no number") from None


def _short(value: object) -> str:
    return f"{type(value).__name__} {_shortened(repr(value))}"


def _shortened(text: str) -> str:
    return "".join(text.splitlines()[:1])[:60]


def explain(error: BaseException) -> tuple[str, str]:
    """An error in a line, with the user's own line of it, and its traceback from there on."""
    if isinstance(error, ReportError):
        return str(error), ""
    frame = own_frame(error.__traceback__, FOREIGN)
    where = f" ({_written_at(frame)})" if frame is not None else ""
    message = str(error).splitlines()[0] if str(error) else ""
    first = f"{type(error).__name__}: {message}{where}" if message else f"{type(error).__name__}{where}"
    return first, "".join(traceback.format_exception(error)).rstrip()


def _written_at(frame: traceback.FrameSummary) -> str:
    """Where a person finds a frame's line: in its file, or in the notebook's cell that it came from."""
    cell = in_cell(frame.filename, frame.lineno or 0)
    return f"{Path(frame.filename).name}, line {frame.lineno}" if cell is None else f"{cell}: {frame.line}"
