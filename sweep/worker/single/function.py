"""A function as a session: a report for each value that it yields.

The function is a generator; pruning closes it. A function that returns a value reports once.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx

from sweep.vocabulary.trial import UNBOUNDED
from sweep.vocabulary.turn import Load, WorkerSettings
from sweep.worker.single.function_report import ReportError, explain
from sweep.worker.single.function_trial import Trial
from sweep.worker.single.one_trial import OneTrial
from sweep.worker.spool import Spool
from sweep.worker.task_loading import load_function


def functions(settings: WorkerSettings, spool: Spool, *, is_cut_short: Callable[[], bool]) -> OneTrial:
    """The trials of a study whose `task` is a function, which is loaded with the first of them."""
    loaded: list[Callable[[Trial], Any]] = []

    def function() -> Callable[[Trial], Any]:
        if not loaded:
            loaded.append(load_function(settings.task))
        return loaded[0]

    def begin(load: Load, folder: Path, resumed: int) -> Function:
        return Function(load, folder, function)

    return OneTrial(settings, spool, begin, is_cut_short=is_cut_short)


class Function:
    """One call of the function: what it was given, and its generator once it has begun."""

    def __init__(self, load: Load, folder: Path, function: Callable[[], Callable[[Trial], Any]]) -> None:
        self._trial = Trial(load, folder)
        self._length = load.plan.length.examples
        self._function = function
        self._reports: Iterator[Any] | None = None

    @property
    def has_saved(self) -> bool:
        """Whether the function has called `save` since the last checkpoint."""
        return self._trial.has_saved

    @has_saved.setter
    def has_saved(self, value: bool) -> None:
        self._trial.has_saved = value

    def next(self, seen: int) -> tuple[Mapping[Any, Any] | None, bool]:
        """What the function yields or returns next."""
        mx.reset_peak_memory()
        if self._reports is None:
            value: Any = self._function()(self._trial)
            if isinstance(value, Coroutine | AsyncGenerator):
                if isinstance(value, Coroutine):
                    value.close()  # or Python warns that it was never awaited
                raise ReportError("the function is async. Write it as a plain function, with def alone")
            if value is None:
                raise ReportError(
                    "the function returned nothing. Return the objective's value, or yield reports"
                )
            if not isinstance(value, Iterator):
                return result(value, seen, self._length), True
            self._reports = value
        try:
            found: Mapping[Any, Any] = next(self._reports)
            return found, False
        except StopIteration as end:
            return (result(end.value, seen, self._length) if end.value is not None else None), True

    def is_whole(self, folder: Path) -> bool:
        """It writes nothing while it is not asked for a report."""
        return True

    def rest(self) -> tuple[Mapping[Any, Any], ...]:
        """It has saved what it saved, and reports while it is asked to."""
        return ()

    def close(self) -> str | None:
        """Close the generator."""
        reports, self._reports = self._reports, None
        try:
            if isinstance(reports, Generator):
                reports.close()
        except Exception as error:
            said = f"did not end when it was closed: {explain(error)[0]}"
            del error
            with _unheard():
                del reports
            return said
        return None

    def peak_bytes(self) -> int:
        return mx.get_peak_memory()

    def used_bytes(self) -> int:
        return 0

    def cpu_s(self) -> float:
        return 0.0

    def take_output(self) -> bytes:
        return b""


@contextmanager
def _unheard() -> Iterator[None]:
    """What Python prints of a generator that ignores being closed once more, as it is deleted."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    try:
        yield
    finally:
        sys.unraisablehook = hook


def result(value: Any, seen: int, length: int) -> Mapping[Any, Any]:
    """A value at the end as a report; a number is the objective, at the trial's length or one example on."""
    here = length if length < UNBOUNDED else seen + 1
    if isinstance(value, Mapping):
        return value if "examples" in value else {"examples": here, **value}
    return {"examples": here, None: value}
