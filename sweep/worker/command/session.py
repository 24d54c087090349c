"""A process as a session: it runs on by itself, and a turn waits for its next report, but not for ever."""

from __future__ import annotations

import shlex
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sweep.vocabulary.turn import Command, Load, WorkerSettings
from sweep.worker.command.metrics import EXAMPLES, JsonLines, Patterns, Reading
from sweep.worker.command.output import MARGIN
from sweep.worker.command.pipes import Pipes
from sweep.worker.command.process import Process
from sweep.worker.command.surroundings import Surroundings
from sweep.worker.command.watchdog import Watchdog
from sweep.worker.single.folder_contents import newest_s
from sweep.worker.single.function import result
from sweep.worker.single.function_report import ReportError
from sweep.worker.single.one_trial import OneTrial
from sweep.worker.spool import Spool

GRACE_S = 5.0
"""How long a process has between SIGTERM and SIGKILL."""

END_S = 30.0
"""How long a process has to end by itself once it has reported at its trial's length."""

TURN_S = 1.0
"""A turn ends after so long without a report, so that time-outs, saving and stopping come to their turn."""

LOOK_EVERY_S = 0.05
"""How often it is looked whether the process has ended, or the file of its metrics has grown."""

SETTLED_S = 1.0
"""Files that were written within this time may not be whole yet."""


class CommandError(ReportError):
    """A command cannot be started, or failed: at the next try the cause may be gone."""

    lasting = False


class Commands(OneTrial):
    """The trials of a study that has a `command`."""

    def __init__(
        self,
        settings: WorkerSettings,
        spool: Spool,
        command: Command,
        *,
        is_cut_short: Callable[[], bool],
    ) -> None:
        self._watchdog = Watchdog(GRACE_S)

        def begin(load: Load, folder: Path, resumed: int) -> Session:
            return Session(settings, command, load, folder, resumed, self._watchdog, is_cut_short)

        super().__init__(settings, spool, begin, is_cut_short=is_cut_short)

    def close(self) -> None:
        super().close()
        self._watchdog.close()


def commands(settings: WorkerSettings, spool: Spool, *, is_cut_short: Callable[[], bool]) -> Commands:
    """What runs the command of these settings."""
    assert settings.command is not None, "the settings of a command hold one"
    return Commands(settings, spool, settings.command, is_cut_short=is_cut_short)


class Session:
    """One attempt at a trial; the process begins with the first turn."""

    has_saved = False

    def __init__(
        self,
        settings: WorkerSettings,
        command: Command,
        load: Load,
        folder: Path,
        resumed: int,
        watchdog: Watchdog,
        is_cut_short: Callable[[], bool],
    ) -> None:
        self._command = command
        self._load = load
        self._offset = resumed if command.counts_from_resume else 0
        self._watchdog = watchdog
        self._is_cut_short = is_cut_short
        self._place = folder.with_name(folder.name + ".sweep")
        self._given = Surroundings(
            command,
            load,
            study=Path(settings.task.folder),
            folder=folder,
            place=self._place,
            resumed=resumed,
            slots=settings.slots,
        )
        objective = settings.objective[0] if settings.objective else ""
        self._json = JsonLines(objective, needs_examples=command.needs_examples)
        self._reading: Reading = Patterns(command.metrics, objective) if command.metrics else self._json
        self._process: Process | None = None
        self._pipes: Pipes | None = None
        self._has_ended = False
        self._has_reported = False
        self._fault: ReportError | None = None
        self._spent_s = 0.0

    def next(self, seen: int) -> tuple[Mapping[Any, Any] | None, bool]:
        """The next report that the process prints; nothing where it prints none within TURN_S."""
        pipes = self._pipes or self._start()
        deadline = time.monotonic() + TURN_S
        while (found := self._pending()) is None and self._fault is None and time.monotonic() < deadline:
            if self._has_ended:
                return self._last(seen, pipes)
            self._hear(pipes, LOOK_EVERY_S)
            self._look(pipes)
        if found is not None:
            self._has_reported = True
            return self._at_length(found, pipes)
        if self._fault is not None:
            raise self._fault
        return None, False

    def is_whole(self, folder: Path) -> bool:
        """Whether nothing was written to it just now, and nothing was printed that is not reported yet."""
        if self._pipes is not None and not self._has_ended:
            self._hear(self._pipes, 0.0)
        if self._fault is not None or self._reading.reports or self._json.reports:
            return False
        return time.time() - newest_s(folder) > SETTLED_S

    def rest(self) -> list[Mapping[Any, Any]]:
        """Have the process end, with the time to save that SIGTERM gives it; what it printed up to then."""
        pipes = self._pipes
        if pipes is not None and not self._has_ended:
            self._end(lambda: self._hear(pipes, 0.0))
            self._hear_rest(pipes)
        found = []
        while (report := self._pending()) is not None:
            found.append(report)
        if self._fault is not None:
            raise self._fault
        return found

    def close(self) -> str | None:
        """End the process with all that it started."""
        killed = self._stop()
        foreign = self._pipes is not None and self._pipes.has_foreign
        if self._pipes is not None:
            self._pipes.close()
        self._process = None
        shutil.rmtree(self._place, ignore_errors=True)
        if killed:
            return f"did not end within {GRACE_S:g} s of SIGTERM and was killed"
        return "printed bytes that are no UTF-8; they show as \N{REPLACEMENT CHARACTER}" if foreign else None

    def peak_bytes(self) -> int:
        """The most that was seen of all its processes together."""
        return self._process.family.take_peak_bytes() if self._process is not None else 0

    def used_bytes(self) -> int:
        process = self._process
        return process.family.measure() if process is not None and not self._has_ended else 0

    def cpu_s(self) -> float:
        """The CPU time of all its processes together since this was last asked."""
        if self._process is None:
            return 0.0
        before, self._spent_s = self._spent_s, self._process.family.cpu_s
        return self._spent_s - before

    def take_output(self) -> bytes:
        return self._pipes.output.take() if self._pipes is not None else b""

    def _start(self) -> Pipes:
        given, arguments = self._given, self._given.arguments()
        try:
            process = Process(arguments, folder=given.working_directory, environment=given.environment())
        except ValueError:
            what = "a hyperparameter holds a character that no argument can have, \\0. Take it out"
            raise ReportError(f"the command cannot be started: {what}") from None
        except OSError as error:
            what = error.strerror or str(error)
            remedy = "" if error.errno != 8 else '. Begin the file with a line such as "#!/bin/sh"'
            place = error.filename or arguments[0]
            raise CommandError(f"the command cannot be started: {place}: {what}{remedy}") from None
        self._watchdog.watch(process)
        self._process = process
        self._pipes = Pipes(process, given.metrics, self._reading, self._json)
        line = f"$ {shlex.join(arguments)}\n"
        attempt = f"# trial {self._load.plan.number}, attempt {self._load.attempt + 1}\n"
        self._pipes.output.enter_own((attempt + line).encode())
        return self._pipes

    def _pending(self) -> Mapping[Any, Any] | None:
        """The next report that was printed and is not given yet."""
        for reports in (self._reading.reports, self._json.reports):
            if reports:
                return self._counted(reports.popleft())
        return None

    def _hear(self, pipes: Pipes, timeout_s: float) -> None:
        """Read and listen; after a line that should be a report and is none, read only."""
        if self._fault is not None:
            pipes.drain(timeout_s)
            return
        try:
            pipes.read(timeout_s)
        except ReportError as error:
            self._fault = error

    def _hear_rest(self, pipes: Pipes) -> None:
        """The same with all that is left of a process that has ended."""
        try:
            pipes.read_rest()
        except ReportError as error:
            self._fault = self._fault or error

    def _counted(self, found: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """A report with its examples counted from the trial's start."""
        examples = found.get(EXAMPLES)
        if not self._offset or not isinstance(examples, int | float):
            return found
        return {**found, EXAMPLES: examples + self._offset}

    def _look(self, pipes: Pipes) -> None:
        """Whether the process has ended; then what it started ends too, and the rest is read."""
        process = self._process
        if process is None or process.exit_code() is None:
            return
        self._end(lambda: self._hear(pipes, 0.0))  # its last lines may not be read yet
        self._hear_rest(pipes)

    def _at_length(self, found: Mapping[Any, Any], pipes: Pipes) -> tuple[Mapping[Any, Any], bool]:
        """A report at the trial's length is the last; the process has some time to end by itself."""
        examples = found.get(EXAMPLES)
        if not isinstance(examples, int | float) or examples < self._load.plan.length.examples:
            return found, False
        deadline = time.monotonic() + END_S
        while not self._has_ended and not self._is_cut_short() and time.monotonic() < deadline:
            self._hear(pipes, LOOK_EVERY_S)
            self._look(pipes)
        self._stop()
        return found, True

    def _last(self, seen: int, pipes: Pipes) -> tuple[Mapping[Any, Any] | None, bool]:
        """What an ended process comes to."""
        code = self._process.exit_code() if self._process is not None else 0
        if code:
            last = pipes.output.last_line()
            raise CommandError(
                f"{_ended(code)}{f': {last}' if last else ''}\n{pipes.output.ending()}".rstrip()
            )
        found = self._reading.result or self._json.result
        if found:
            return result(found, seen, self._load.plan.length.examples), True
        if not self._has_reported:
            raise ReportError(f"{self._reading.missing()}. {_began(pipes)}")
        return None, True

    def _stop(self) -> bool:
        """End the process with all that it started; whether it had to be killed."""
        if self._pipes is None or self._has_ended:
            return False
        killed = self._end(self._pipes.drain)
        self._pipes.drain()
        return killed

    def _end(self, meanwhile: Callable[[], None]) -> bool:
        assert self._process is not None
        killed = self._process.end(GRACE_S, meanwhile)
        self._watchdog.watch(None)
        self._has_ended = True
        return killed


def _ended(code: int) -> str:
    if code > 0:
        return f"the command ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    memory = ", as a system does that is out of memory" if name == "SIGKILL" else ""
    return f"the command was ended by {name}{memory}"


def _began(pipes: Pipes) -> str:
    first, *rest = pipes.output.beginning().splitlines() or [""]
    if not first:
        return "It printed nothing"
    return "\n".join([f"Its output begins: {first.removeprefix(MARGIN)}", *rest])
