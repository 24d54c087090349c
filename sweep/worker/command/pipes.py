"""What comes out of a process: both its streams and the file of its metrics, read as they grow."""

from __future__ import annotations

import os
import selectors
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from sweep.worker.command.lines import Lines
from sweep.worker.command.metrics import JsonLines, Reading
from sweep.worker.command.output import Output
from sweep.worker.command.process import Process
from sweep.worker.single.function_report import ReportError

PIECE_BYTES = 65536

HEAD_BYTES = 256
"""So much of the file of metrics is compared: a report that was overwritten differs there by its count."""

REST_WITHIN_S = 1.0
"""How long output of an ended process is read: what it left running may print for ever."""


class Pipes:
    """Reads a process while it is asked to, and so never more than it is asked for."""

    def __init__(self, process: Process, metrics: Path, reading: Reading, of_file: JsonLines) -> None:
        self._process = process
        self._metrics = metrics
        self._reading = reading
        self._of_file = of_file
        self._file_lines = Lines()
        self._offset = 0
        self._begins = b""
        self.output = Output()
        self._selector = selectors.DefaultSelector()
        stdout, stderr = process.popen.stdout, process.popen.stderr
        assert stdout is not None
        assert stderr is not None
        self._streams = {stdout.fileno(): Lines(), stderr.fileno(): Lines()}
        self._heard = set(self._streams) if not isinstance(reading, JsonLines) else {stdout.fileno()}
        for stream in self._streams:
            os.set_blocking(stream, False)
            self._selector.register(stream, selectors.EVENT_READ)

    @property
    def has_foreign(self) -> bool:
        """Whether anything was no UTF-8."""
        return any(lines.has_foreign for lines in self._streams.values())

    def read(self, timeout_s: float) -> bool:
        """Read what is there, or comes within that time; whether anything was."""
        if not self._selector.get_map():
            self._process.wait(timeout_s)
            return self._read_file()
        ready = self._selector.select(timeout_s)
        for key, _ in ready:
            self._read_stream(key.fd)
        return self._read_file() or bool(ready)

    def read_rest(self) -> None:
        """Read all that is left of a process that has ended."""
        deadline = time.monotonic() + REST_WITHIN_S
        while self.read(0.0) and time.monotonic() < deadline:
            pass
        while self._read_file():  # which nothing writes to any more
            pass
        for stream, lines in self._streams.items():
            for line in lines.end():
                self._hear(stream, line)
        for line in self._file_lines.end():
            self._of_file.line(line)
        self._reading.end()

    def drain(self, timeout_s: float = 0.0) -> None:
        """Read what is there, or comes within that time, without listening: the trial is over."""
        for key, _ in self._selector.select(timeout_s):
            with suppress(OSError):
                if data := os.read(key.fd, PIECE_BYTES):
                    self.output.enter(data)
                else:
                    self._selector.unregister(key.fd)

    def close(self) -> None:
        self._selector.close()
        for stream in (self._process.popen.stdout, self._process.popen.stderr):
            if stream is not None:
                stream.close()

    def _read_stream(self, stream: int) -> None:
        try:
            data = os.read(stream, PIECE_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(stream)
            return
        self.output.enter(data)
        for line in self._streams[stream].enter(data):
            self._hear(stream, line)

    def _hear(self, stream: int, line: str) -> None:
        if stream in self._heard:
            self._reading.line(line)

    def _read_file(self) -> bool:
        """The metrics' file, as far as it has grown."""
        try:
            with self._metrics.open("rb") as file:
                self._check_appended(file)
                file.seek(self._offset)
                data = file.read(PIECE_BYTES)
        except FileNotFoundError:
            return False
        if len(self._begins) < HEAD_BYTES:
            self._begins += data[: HEAD_BYTES - len(self._begins)]
        self._offset += len(data)
        for line in self._file_lines.enter(data):
            self._of_file.line(line)
        return bool(data)

    def _check_appended(self, file: BinaryIO) -> None:
        """Raise ReportError where the file was overwritten: lines that were there may not have been read."""
        if file.read(len(self._begins)) != self._begins or file.seek(0, os.SEEK_END) < self._offset:
            raise ReportError(
                "the file of SWEEP_METRICS was overwritten, and what stood there may be lost. "
                "Open it to append, such as open(path, 'a')"
            )
