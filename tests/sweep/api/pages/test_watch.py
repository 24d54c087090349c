"""The page of a run that is served while it grows, in a real browser."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote

import pytest

from sweep.api.pages.watch import serve
from sweep.errors import SweepError
from tests.browser import browser, needs_browser
from tests.processes import wait_until
from tests.run_dirs import begin, complete, open_run


class Stop(Exception):
    """Ends a server as Ctrl-C does."""


@contextmanager
def watching(run: Path) -> Iterator[str]:
    """The address at which it is served, from a thread that ends with the block."""
    addresses: list[str] = []
    ready, over = threading.Event(), threading.Event()

    def on_ready(address: str) -> None:
        addresses.append(address)
        ready.set()
        over.wait()
        raise Stop

    def target() -> None:
        with pytest.raises(Stop):
            serve(run, host="127.0.0.1", port=0, on_ready=on_ready)

    thread = threading.Thread(target=target)
    thread.start()
    ready.wait()
    try:
        yield addresses[0]
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
@needs_browser
def test_the_page_follows_its_study_by_small_answers(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0, 1)
        run.commit()
        with watching(run.path) as address, browser(tmp_path / "profile") as chrome:
            chrome.get(address)
            count = "return document.getElementById('count').innerText"
            assert chrome.execute_script(count) == "2 trials, the best first"
            chrome.execute_script("window.same = true")
            complete(run, 2, 3)
            run.commit()
            wait_until(lambda: chrome.execute_script(count) == "4 trials, the best first")
            assert "4 complete" in chrome.execute_script(
                "return document.getElementById('summary').innerText"
            )
            assert chrome.execute_script("return window.same"), "the whole page was asked for again"
            answers = chrome.execute_script(
                "return performance.getEntriesByType('resource').filter(each => each.name.includes('since'))"
                ".map(each => each.decodedBodySize)"
            )
            assert answers
            assert max(answers) < 2000
            chrome.execute_script("openTrial(3)")
            charts = "return document.querySelectorAll('#trial .charts canvas').length"
            wait_until(lambda: chrome.execute_script(charts) >= 2)
            assert chrome.get_log("browser") == []


def test_what_is_asked_wrongly_or_by_another_site_is_refused(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0)
        run.commit()
    with watching(run.path) as address:
        for path in ("other", "since", "since?version=x&columns=[]", "trial?number=x", "../lock"):
            with pytest.raises(HTTPError, match="404"):
                urllib.request.urlopen(address + path)
        asked = urllib.request.Request(address, headers={"Host": "elsewhere.example"})
        with pytest.raises(HTTPError, match="403"):
            urllib.request.urlopen(asked)
        columns = quote(json.dumps(["number"]))
        with urllib.request.urlopen(f"{address}since?version=0&columns={columns}") as answer:
            assert json.load(answer)["again"]


def test_no_run_and_a_port_that_is_taken_are_a_line_each(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="is not a run directory"):
        serve(tmp_path, host="127.0.0.1", port=0, on_ready=lambda address: None)
    with open_run(tmp_path) as run:
        begin(run)
        run.commit()
    with watching(run.path) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        with pytest.raises(SweepError, match="the page cannot be served there"):
            serve(run.path, host="127.0.0.1", port=port, on_ready=lambda address: None)
