"""Reports in what a program prints: JSON objects line by line, or what regular expressions find."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from sweep.worker.command.lines import MAX_LINE
from sweep.worker.single.function_report import ReportError

EXAMPLES = "examples"


class Reading(Protocol):
    """Makes reports of lines. `reports` are those that are complete, `result` is one without `examples`."""

    reports: deque[Mapping[str, Any]]
    result: Mapping[str, Any]

    def line(self, text: str) -> None:
        """A line that was printed. Raises ReportError for one that should be a report and is none."""

    def end(self) -> None:
        """Nothing more is printed."""

    def missing(self) -> str:
        """Why there is no report, at the end."""


class JsonLines:
    """Each line that is a JSON object with `examples`, or with an objective's metric, is a report."""

    def __init__(self, objective: str, *, needs_examples: bool) -> None:
        self.reports: deque[Mapping[str, Any]] = deque()
        self.result: Mapping[str, Any] = {}
        self._objective = objective
        self._needs_examples = needs_examples

    def line(self, text: str) -> None:
        if len(text) >= MAX_LINE:
            self._refuse_cut(text)
        text = text.strip()
        if not text.startswith("{") or not text.endswith("}"):
            return
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return
        if EXAMPLES in found:
            self.reports.append(found)
        elif self._objective in found:
            if self._needs_examples:
                raise ReportError(
                    f"the command printed {self._objective} without `examples`, which the pruner goes by. "
                    'Print how many it has seen, such as {"examples": 100, ...}'
                )
            self.result = found

    def _refuse_cut(self, text: str) -> None:
        """A line that was cut at its end is no JSON, and would be passed over."""
        if text.lstrip().startswith("{") and (f'"{EXAMPLES}"' in text or f'"{self._objective}"' in text):
            raise ReportError(
                f"a line that looks like a report is longer than {MAX_LINE // 1024} KiB. Print numbers alone"
            )

    def end(self) -> None: ...

    def missing(self) -> str:
        return (
            f"the command ended and printed no {self._objective}. Print JSON lines such as "
            f'{{"examples": 100, "{self._objective}": 0.5}}, or give patterns in `metrics`'
        )


class Patterns:
    """Metrics by regular expressions, searched in each line; `examples` says where they belong.

    A report is complete once every pattern has matched since the last one, or once the count moves on and the
    objective is there. A metric that was not found again keeps its last value.
    """

    def __init__(self, patterns: Mapping[str, str], objective: str) -> None:
        self.reports: deque[Mapping[str, Any]] = deque()
        self.result: Mapping[str, Any] = {}
        self._patterns = {name: re.compile(text) for name, text in patterns.items()}
        self._objective = objective
        self._values: dict[str, float] = {}
        self._fresh: set[str] = set()
        self._ever: set[str] = set()
        self._reported = 0.0

    def line(self, text: str) -> None:
        found = {
            name: _number(name, match[1], text)
            for name, pattern in self._patterns.items()
            if (match := pattern.search(text)) is not None
        }
        if not found:
            return
        self._ever |= found.keys()
        if EXAMPLES in found and EXAMPLES in self._fresh and found[EXAMPLES] != self._values[EXAMPLES]:
            self._complete()
            self._fresh.clear()
        self._values |= found
        self._fresh |= found.keys()
        if self._fresh >= self._patterns.keys():
            self._complete()

    def end(self) -> None:
        if EXAMPLES in self._patterns:
            self._complete()
        elif self._objective in self._values:
            self.result = dict(self._values)

    def missing(self) -> str:
        absent = [name for name in self._patterns if name not in self._ever]
        if not absent:
            counted = f", or {EXAMPLES} were never above 0" if EXAMPLES in self._patterns else ""
            return f"the command ended, and no line belongs to {self._objective}{counted}"
        shown = ", ".join(f"metrics.{name} ({self._patterns[name].pattern})" for name in absent)
        verb = "matches" if len(absent) == 1 else "match"
        return f"the command ended and no line of its output {verb} {shown}. Change the pattern"

    def _complete(self) -> None:
        """Report what there is, where it is more than was reported."""
        if not {EXAMPLES, self._objective} <= self._fresh:
            return
        self._fresh.clear()
        count = self._values[EXAMPLES]
        if count == self._reported:  # a line printed twice
            return
        self._reported = count
        self.reports.append(dict(self._values))


def _number(name: str, text: str | None, line: str) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise ReportError(
            f"metrics.{name} found {text!r}, which is no number, in the line: {line.strip()[:120]}"
        ) from None
