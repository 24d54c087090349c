"""A run that is followed while it grows: its page at one moment, and what is new since another."""

from __future__ import annotations

import threading
import time
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis import frames
from analysis.errors import RunError, RunWarning
from analysis.page.content import Content, columns_of, content, rows, text_of
from analysis.page.curves import Curves
from analysis.page.html import summary
from analysis.studyfile import read_study_file
from runlog import layout
from runlog.numbers import decode_mapping
from runlog.reader import UnreadableLogError, read_batches, whole_bytes
from runlog.records import Record
from runlog.study import KINDS as STUDY_KINDS
from runlog.study import StudyState

KINDS = (*STUDY_KINDS, "report")

LOOK_EVERY_S = 0.1
"""How often the log is looked at while something new is waited for."""


class Live:
    """A run directory's log, read as far as it goes; `version` counts what has come. Any thread may call.

    Each report is taken once: the first of its trial, replicate and examples.
    """

    def __init__(self, path: Path) -> None:
        """Raises RunError where there is no log that can be read."""
        self.path = path
        self._log = path / layout.LOG
        self._lock = threading.Lock()
        self._offset = 0
        self._study = StudyState()
        self._curves = Curves()
        self._seen: set[tuple[int, int, int]] = set()
        self._changed: dict[int, int] = {}
        self._versions: list[int] = []
        self._points: list[list[Any]] = []
        self._per_epoch: float | None = None
        self.version = 0
        if not self._log.is_file():
            raise RunError(
                f"{path}: is not a run directory: it has no {layout.LOG}. Give one, such as runs/digits"
            )
        self._advance()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RunWarning)  # without a study file, no axis is logarithmic
            self._scales = read_study_file(path / layout.STUDY, self._study.files).space

    def content(self) -> Content:
        """The whole page's JSON, as of now."""
        with self._lock:
            self._advance()
            found = content(
                name=self.path.resolve().name,
                trials=frames.trials(self._study),
                objectives=self._study.objectives,
                values=self._values,
                scales=self._scales,
                curves=self._curves,
                per_epoch=self._per_epoch,
            )
            return {**found, "version": self.version}

    def wait(self, version: int, seconds: float) -> None:
        """Return once something has come after a version, or after so many seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self._lock:
                self._advance()
                if self.version > version:
                    return
            time.sleep(LOOK_EVERY_S)

    def since(self, version: int, shown: Sequence[str]) -> Content:
        """Rows and points that came after a version, and the run in a few sentences.

        `again` where the table no longer has these columns: the whole page is to be asked for.
        """
        with self._lock:
            self._advance()
            news = sorted(number for number, at in self._changed.items() if at > version)
            table = frames.trials(replace(self._study, trials={n: self._study.trials[n] for n in news}))
            if not set(columns_of(table, self._values)) <= set(shown):
                return {"version": self.version, "again": True}
            return {
                "version": self.version,
                "rows": rows(table.reindex(columns=list(shown)), shown) if news else [],
                "points": self._points[bisect_right(self._versions, version) :],
                "summary": self._summary(),
            }

    @property
    def summary(self) -> str:
        """The run in a few sentences, as far as it was read."""
        with self._lock:
            return self._summary()

    def _summary(self) -> str:
        study, best = self._study, None
        if len(study.objectives) == 1 and (ranked := study.best()):
            row = ranked[0]
            params = {name: text_of(value) for name, value in row.final_params.items()}
            best = row.number, list(map(text_of, row.values or ())), params
        return summary(study.counts(), study.objectives, best, is_open=study.closed is None)

    def curves(self, trial: int) -> dict[str, list[list[Any]]]:
        """All metrics of one trial."""
        with self._lock:
            return self._curves.of(trial)

    @property
    def _values(self) -> list[str]:
        metrics = [metric for metric, _ in self._study.objectives]
        return [f"values_{metric}" for metric in metrics] if len(metrics) > 1 else ["value"]

    def _advance(self) -> None:
        stop = whole_bytes(self._log)
        if stop <= self._offset:
            return
        self.version += 1
        try:
            for batch in read_batches(
                self._log, on_damage=lambda each: None, start=self._offset, stop=stop, kinds=KINDS
            ):
                for record in batch:
                    self._enter(record)
        except (OSError, UnreadableLogError) as error:
            raise RunError(f"{self._log}: cannot be read: {error}") from error
        self._offset = stop

    def _enter(self, record: Record) -> None:
        if record["event"] == "report":
            self._report(record)
            return
        self._study.add(record)
        if record.get("trial") in self._study.trials:
            self._changed[record["trial"]] = self.version

    def _report(self, record: Record) -> None:
        key = (record["trial"], record["replicate"], record["examples"])
        if key in self._seen:
            return
        self._seen.add(key)
        if self._per_epoch is None and record["epoch"]:
            self._per_epoch = record["examples"] / record["epoch"]
        found = self._curves.add(record["trial"], record["examples"], decode_mapping(record["metrics"]))
        objective = self._study.objectives[0][0] if self._study.objectives else ""
        if objective in found:
            self._versions.append(self.version)
            self._points.append([record["trial"], record["examples"], float(f"{found[objective]:.6g}")])
