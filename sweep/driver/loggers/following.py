"""A thread that reads the log as it grows and gives each logger what it lacks.

The log is the truth and loggers follow from it: whatever moment a session dies at, the next one reads the log
from its beginning and writes what is missing. The driver knows nothing of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from runlog.reader import read_batches, whole_bytes
from runlog.records import Record
from runlog.study import RUNNING, StudyState
from sweep.driver.loggers.base import Logger
from sweep.vocabulary.trial import Report

POLL_S = 1.0
LEAVE_S = 1.0
KINDS = ("asked", "report", "told")

Say = Callable[[str], None]


class _Fed:
    """One logger; once it has raised an error it is off."""

    def __init__(self, name: str, make: Callable[[], Logger], say: Say) -> None:
        self.name = name
        self._make = make
        self._say = say
        self._logger: Logger | None = None
        self._whole: frozenset[int] = frozenset()
        self._failed = False

    def attempt(self, act: Callable[[Logger], None]) -> None:
        """Call the logger; what it raises turns it alone off, and is said once."""
        if self._failed:
            return
        try:
            if self._logger is None:
                self._logger = self._make()
                self._whole = frozenset(self._logger.whole())
            act(self._logger)
        except Exception as error:
            self._failed = True
            text = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._say(f"logger {self.name} failed and is off for this session: {text} (the study continues)")

    def trial(self, number: int, act: Callable[[Logger], None]) -> None:
        """Let it write of a trial, unless an earlier session wrote all of it."""

        def unless_whole(logger: Logger) -> None:
            if number not in self._whole:
                act(logger)

        self.attempt(unless_whole)


class Following:
    """Feeds loggers while it is entered; leaving it waits until they have all that the log holds.

    Once the study is `interrupted` it waits LEAVE_S only: a logger's server may be out of reach.
    """

    def __init__(
        self,
        log: Path,
        makers: Mapping[str, Callable[[], Logger]],
        say: Say,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._log = log
        self._say = say
        self._interrupted = interrupted
        self._fed = [_Fed(name, make, say) for name, make in makers.items()]
        self._study = StudyState()
        self._seen: dict[int, set[tuple[int, int]]] = {}
        self._offset = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="loggers", daemon=True)

    def __enter__(self) -> Following:
        if self._fed:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._fed:
            self._ending.set()
            self._thread.join(LEAVE_S if self._interrupted() else None)
            if self._thread.is_alive():
                self._say("the loggers do not answer: they get what they lack when the study resumes")

    def _follow(self) -> None:
        for fed in self._fed:
            fed.attempt(lambda logger: None)  # what cannot be opened is said at once
        ending = False
        while not ending:
            ending = self._ending.wait(POLL_S)
            try:
                self._catch_up()
            except OSError as error:
                self._say(f"{self._log}: loggers cannot read it and are off: {error.strerror or error}")
                ending = True
            for fed in self._fed:
                fed.attempt(lambda logger: logger.flush())
        for fed in self._fed:
            fed.attempt(lambda logger: logger.close())

    def _catch_up(self) -> None:
        """Give on what the log holds and was not read yet."""
        stop = whole_bytes(self._log)
        if stop <= self._offset:
            return
        for batch in read_batches(
            self._log, on_damage=lambda each: None, start=self._offset, stop=stop, kinds=KINDS
        ):
            for record in batch:
                self._enter(record)
        self._offset = stop

    def _enter(self, record: Record) -> None:
        """A record of a trial that is known and has not ended; the first of each kind and boundary counts."""
        number, before = record["trial"], self._study.trials.get(record["trial"])
        match record["event"]:
            case "asked" if before is None:
                self._study.add(record)
                self._seen[number] = set()
                row = self._study.trials[number]
                self._give(number, lambda logger: logger.asked(row))
            case "report" if number in self._seen:
                key = (record["replicate"], record["examples"])
                if key not in self._seen[number]:
                    self._seen[number].add(key)
                    report = Report.of(record)
                    self._give(number, lambda logger: logger.reported(report))
            case "told" if before is not None and before.state == RUNNING:
                self._study.add(record)
                del self._seen[number]
                self._give(number, lambda logger: logger.ended(before))

    def _give(self, number: int, act: Callable[[Logger], None]) -> None:
        for fed in self._fed:
            fed.trial(number, act)
