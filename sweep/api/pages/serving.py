"""A server of pages on this machine: its port, and how long it serves."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from http.server import HTTPServer
from typing import TypeVar

from sweep.errors import SweepError

Server = TypeVar("Server", bound=HTTPServer)


def listening(make: Callable[[], Server], host: str, port: int) -> Server:
    """The server that `make` binds to the address. Raises SweepError where it cannot."""
    try:
        return make()
    except OSError as error:
        raise SweepError(
            f"{host}:{port}: the page cannot be served there: {os.strerror(error.errno or 0)}. "
            "Pass another port with --port N, 0 for a free one"
        ) from error


def serve_until_interrupted(server: HTTPServer, host: str, on_ready: Callable[[str], None]) -> None:
    """Serve, and close at a KeyboardInterrupt, which is raised again; `on_ready` is given the address."""
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            on_ready(f"http://{host}:{server.server_port}/")
            thread.join()
        finally:
            server.shutdown()
