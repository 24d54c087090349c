"""Tables derived from the log beside its writer, a part a minute, in a thread of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
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
        self.refreshing: Future[None] | None = None

    def maintain(self, log_size: int) -> str | None:
        """Begin the next part where it is due; gives what the last one failed of, once."""
        failure = None
        if self.refreshing is not None:
            if not self.refreshing.done():
                return None
            error = self.refreshing.exception()
            self.refreshing = None
            failure = None if error is None else f"tables will be derived again later: {error}"
        if self._clock() - self._refreshed >= PART_EVERY_S and log_size > self._covered:
            self._refreshed, self._covered = self._clock(), log_size
            self.refreshing = self._thread.submit(refresh_metrics, self._run_dir, stop=log_size)
        return failure

    def finish(self, log_size: int) -> None:
        """Derive all tables from the whole log. Raises RunDirError where the disk refuses."""
        self._thread.shutdown()
        refresh_metrics(self._run_dir, stop=log_size, compact=True)
        write_trials(self._run_dir)

    def stop(self) -> None:
        """Begin nothing further."""
        self._thread.shutdown(cancel_futures=True)
