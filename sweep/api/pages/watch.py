"""`sweep watch`: a run's page in the browser, kept up to date while the study runs; it only reads."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from sweep.api.pages.report import check_installed
from sweep.api.pages.serving import listening, serve_until_interrupted
from sweep.errors import SweepError

if TYPE_CHECKING:
    from analysis.page.live import Live

MOST_WAIT_S = 20.0
"""How long an answer may be held back while there is nothing new."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(run_dir: Path, *, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the page until interrupted; `on_ready` is given its address. `port` 0 takes a free one.

    Raises SweepError where there is no run, the port is taken, or what a page needs is not installed.
    """
    check_installed()
    from analysis.errors import RunError
    from analysis.page.live import Live

    try:
        live = Live(run_dir)
    except RunError as error:
        raise SweepError(str(error)) from error
    server = listening(lambda: _Server((host, port), _Handler), host, port)
    server.live = live
    server.hosts = {host, *LOOPBACK} if host in LOOPBACK else None
    serve_until_interrupted(server, host, on_ready)


class _Server(ThreadingHTTPServer):
    """`hosts` are the names that a browser may ask by, None for any: no other site's name leads here."""

    daemon_threads = True
    live: Live
    hosts: set[str] | None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that left in the middle of an answer is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer with the page, what is new since a version of it, or a trial's curves."""
        url = urlsplit(self.path)
        asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
        name = urlsplit(f"//{self.headers['Host'] or ''}").hostname
        if self.server.hosts is not None and name not in self.server.hosts:
            self._answer(403, "text/plain", f"{name} is not this machine")
            return
        from analysis.errors import RunError

        try:
            found = self._found(url.path, asked)
        except RunError as error:
            self._answer(500, "text/plain", str(error))
            return
        except (KeyError, ValueError):
            found = None
        if found is None:
            self._answer(404, "text/plain", "there is no such page")
        else:
            kind = "text/html; charset=utf-8" if isinstance(found, str) else "application/json"
            self._answer(200, kind, found if isinstance(found, str) else json.dumps(found, allow_nan=False))

    def _found(self, path: str, asked: dict[str, str]) -> str | dict[str, Any] | None:
        from analysis.page.html import page

        live = self.server.live
        match path:
            case "/":
                return page(live.content(), is_live=True, summary=live.summary)
            case "/since":
                version, columns = int(asked["version"]), json.loads(asked["columns"])
                live.wait(version, min(float(asked.get("wait", 0)), MOST_WAIT_S))
                return live.since(version, columns)
            case "/trial":
                return live.curves(int(asked["number"]))
        return None

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
