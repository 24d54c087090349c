"""`sweep ui`: optuna-dashboard over a run directory, while the study runs or after; it can only read.

The dashboard's own way to the journal would write there too, beside the study: a note typed into it would
land between two records, and its lock file is not the study's. So it is given a backend that only reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from runlog import layout
from sweep.api.pages.serving import listening, serve_until_interrupted
from sweep.errors import RunDirError, SpecError, SweepError
from sweep.rundir.recorded_files import read_recorded
from sweep.spec.parse import parse

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ReadOnlyJournal(JournalFileBackend):
    """A journal that another process writes."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise PermissionError("the run directory is only read here; the study itself is its only writer")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(run_dir: Path, *, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the dashboard until interrupted; `on_ready` is given its address. `port` 0 takes a free one.

    Raises SweepError where there is no journal, the port is taken, or optuna-dashboard is not installed.
    """
    application = _application(open_storage(run_dir))
    server = listening(
        lambda: make_server(host, port, application, server_class=_Server, handler_class=_Quiet), host, port
    )
    serve_until_interrupted(server, host, on_ready)


def open_storage(run_dir: Path) -> BaseStorage:
    """The study's storage, for reading. Raises RunDirError where there is none."""
    if url := _storage_url(run_dir):
        from optuna.storages import RDBStorage

        return RDBStorage(url)
    journal = run_dir / layout.JOURNAL
    if not journal.is_file():
        raise RunDirError(
            f"{run_dir}: has no {layout.JOURNAL} for the dashboard. Give the path of a run that has begun"
        )
    return JournalStorage(ReadOnlyJournal(str(journal)))


def _storage_url(run_dir: Path) -> str | None:
    path = run_dir / layout.STUDY
    try:
        return parse(read_recorded(run_dir, layout.STUDY), str(path)).storage
    except (OSError, RunDirError, SpecError):  # then the journal beside it is what there is to see
        return None


def _application(storage: BaseStorage) -> Application:
    try:
        import optuna_dashboard
    except ImportError as error:
        raise SweepError(
            "optuna-dashboard is not installed. Run: pip install 'sweep-mlx[analysis]'"
        ) from error
    application: Application = optuna_dashboard.wsgi(storage)
    return application
