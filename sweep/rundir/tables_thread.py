"""Tables derived from the log beside its writer, a part a minute, in a thread of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

from sweep.rundir.tables import covered_bytes, refresh_metrics, write_trials

PART_EVERY_S = 60.0


class TablesThread:
    """Derives what is due; `maintain` returns at once, `finish` waits."""

    def __init__(self, run_dir: Path, clock: Callable[[], float]) -> None:
        self._run_dir = run_dir
        self._clock = clock
        self._covered = covered_bytes(run_dir)
        self._refreshed = clock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tables")
        self.refreshing: Future[list[str]] | None = None

    def prepare(self) -> None:
        """Begin to import what tables are written with: at the end a person may be waiting."""
        self._thread.submit(import_module, "runlog.parquet")
        self._thread.submit(import_module, "pandas")  # pyarrow does, at the first list it is given

    def maintain(self, log_size: int) -> list[str]:
        """Begin the next part where it is due; gives what went wrong with the last one, once."""
        said: list[str] = []
        if self.refreshing is not None:
            if not self.refreshing.done():
                return []
            error = self.refreshing.exception()
            failed = [f"tables will be derived again later: {error}"]
            said = self.refreshing.result() if error is None else failed
            self.refreshing = None
        if self._clock() - self._refreshed >= PART_EVERY_S and log_size > self._covered:
            self._refreshed, self._covered = self._clock(), log_size
            self.refreshing = self._thread.submit(refresh_metrics, self._run_dir, stop=log_size)
        return said

    def finish(self, log_size: int) -> list[str]:
        """Derive all tables from the whole log; gives what was damaged. Raises RunDirError."""
        self._thread.shutdown()
        said = refresh_metrics(self._run_dir, stop=log_size, compact=True)
        return [*said, *write_trials(self._run_dir)]

    def stop(self) -> None:
        """Begin nothing further."""
        self._thread.shutdown(cancel_futures=True)
