"""The page of a large study in Chromium: how long it takes to open, and how long a person waits for it.

A run directory as a study writes it; its report, opened from the disk; the same page served by `sweep watch`
while records are added to the log.
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from analysis import report
from benchmarks import measure
from benchmarks.measure import Benchmark
from runlog import layout
from runlog.integrity import checksum
from runlog.records import encode
from sweep.api.pages.watch import serve
from tests.browser import CHROMIUM, DRIVER, browser

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

OPENS_S = 2.0
REACTS_MS = 100.0
FILE_MB = 3.0
FOLLOWS_S = 1.0

SETTLE_S = 0.6
"""Longer than charts wait for a person who types."""

WATCHES = """\
window.seen = []; window.tasks = [];
new PerformanceObserver((list) => list.getEntries().forEach((each) => seen.push(each.duration)))
  .observe({type: "event", durationThreshold: 16});
new PerformanceObserver((list) => list.getEntries().forEach((each) => tasks.push(each.duration)))
  .observe({type: "longtask"});
"""
"""What takes down how long each event took until its frame was shown, and what held the page up longer."""

DRAWN = """\
const done = arguments[arguments.length - 1];
const look = () => (waiting ? setTimeout(look, 5)
  : requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))));
look();
"""
"""Gives the milliseconds since the page was asked for, once all charts are drawn and shown."""


class Log:
    """A log as a study writes it: each line with its checksum."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / layout.LOG
        self._last = checksum.START

    def append(self, lines: Iterable[bytes]) -> None:
        with self._path.open("ab") as file:
            for line in lines:
                sealed, self._last = checksum.seal(line, self._last)
                file.write(sealed)


def write_run(run_dir: Path, *, trials: int, reports: int) -> Log:
    """A study of `trials` trials and `reports` reports in all; a third of the trials is pruned."""
    run_dir.mkdir(parents=True)
    log = Log(run_dir)
    opened = {
        "format": layout.FORMAT,
        "session": 1,
        "host": "mac-1",
        "pid": 1,
        "objectives": [{"metric": "loss", "direction": "minimize"}],
        "choices": {"optimizer": ["adam", "adamw", "sgd"]},
        "trials": trials,
    }
    log.append([encode("opened", 0.0, opened)])
    for number in range(trials):
        first, last = number * reports // trials, (number + 1) * reports // trials
        log.append(trial(number, last - first))
    return log


def trial(number: int, reports: int) -> list[bytes]:
    """The records of one trial."""
    chance = (number * 0.618034) % 1
    params = {
        "learning_rate": 10 ** (-4 + 3 * chance),
        "weight_decay": 10 ** (-6 + 4 * ((number * 0.414214) % 1)),
        "dropout": round(0.5 * ((number * 0.732051) % 1), 3),
        "layers": 1 + number % 5,
        "optimizer": ("adam", "adamw", "sgd")[number % 3],
    }
    asked = {"trial": number, "params": params, "hyperparameters": params, "seed": 0}
    lines, loss = [encode("asked", float(number), asked)], 3.0
    for step in range(1, reports + 1):
        loss = 0.2 + abs(chance - 0.6) + 2.5 / step + 0.05 * math.sin(7.0 * step + number)
        record = {
            "trial": number,
            "replicate": 0,
            "examples": 1000 * step,
            "epoch": step / 2,
            "updates": 10 * step,
            "metrics": {"loss": loss, "train_loss": 0.9 * loss, "accuracy": math.exp(-loss)},
            "attempt": 0,
            "width": 16,
            "lane": number % 16,
            "host": f"mac-{number % 4}",
        }
        lines.append(encode("report", number + step / (reports + 1), record))
    told = {
        "trial": number,
        "state": "PRUNED" if number % 3 == 1 else "FAIL" if number % 50 == 49 else "COMPLETE",
        "values": None if number % 50 == 49 and number % 3 != 1 else [loss],
        "reason": None,
        "ledger": {"queue_s": 0.1, "train_s": 1.0, "traces": 0.0, "peak_memory_bytes": 1e6},
    }
    return [*lines, encode("told", number + 1.0, told)]


def opening_s(chrome: Chrome, address: str) -> float:
    """Seconds from asking for the page until its charts and its table are shown."""
    chrome.get("about:blank")
    chrome.get(address)
    return float(chrome.execute_async_script(DRAWN)) / 1000


class Person:
    """One who uses the page; each thing that is done says how long the page kept them waiting."""

    def __init__(self, chrome: Chrome) -> None:
        self._chrome = chrome
        chrome.execute_script(WATCHES)

    def does(self, act: Callable[[], object]) -> tuple[float, float]:
        """Worst ms from an event to the frame that shows it, and the longest that the page was held up."""
        self._chrome.execute_script("seen.length = tasks.length = 0")
        act()
        time.sleep(SETTLE_S)
        events, tasks = self._chrome.execute_script("return [seen, tasks]")
        return max(events, default=0.0), max(tasks, default=0.0)

    def _find(self, selector: str) -> WebElement:
        from selenium.webdriver.common.by import By

        return self._chrome.find_element(By.CSS_SELECTOR, selector)

    def _over(self, chart: str) -> WebElement:
        found = self._find(f"#{chart} .u-over")
        self._chrome.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        return found

    def types(self, name: str, text: str) -> None:
        box = self._find(f"input[name='filter-{name}']")
        for letter in text:
            box.send_keys(letter)
            time.sleep(0.05)

    def clears(self, name: str) -> None:
        self._find(f"input[name='filter-{name}']").send_keys("\b" * 12)

    def sorts(self, place: int) -> None:
        self._find(f"#trials th:nth-child({place}) button").click()

    def scrolls(self) -> None:
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

        origin = ScrollOrigin.from_element(self._find("#table"))
        for _ in range(15):
            ActionChains(self._chrome, duration=0).scroll_from_origin(origin, 0, 3000).perform()

    def points_over(self, chart: str) -> None:
        from selenium.webdriver import ActionChains

        over = self._over(chart)
        width, height = over.size["width"], over.size["height"]
        for step in range(30):
            right, down = round(width * (step / 30 - 0.48)), round(height * (0.4 - 0.8 * ((step * 0.37) % 1)))
            ActionChains(self._chrome, duration=0).move_to_element_with_offset(over, right, down).perform()

    def zooms(self, chart: str) -> None:
        from selenium.webdriver import ActionChains

        over = self._over(chart)
        right, down = round(over.size["width"] / 4), round(over.size["height"] / 4)
        moves = ActionChains(self._chrome, duration=20)
        moves.move_to_element_with_offset(over, -right, -down).click_and_hold()
        moves.move_by_offset(right, down).move_by_offset(right, down).release().perform()

    def sees_all(self, chart: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self._chrome).double_click(self._over(chart)).perform()

    def chooses(self) -> None:
        self._find("#parameter").send_keys("\ue015")  # the arrow down

    def opens(self) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self._chrome).move_to_element(self._find("#table")).click().perform()

    def closes(self) -> None:
        self._find("#trial button").click()


def interactions(chrome: Chrome) -> Iterator[tuple[str, float, float]]:
    """What a person does on the page, one thing after another."""
    person = Person(chrome)
    acts: list[tuple[str, Callable[[], object]]] = [
        ("point at dots of the history", lambda: person.points_over("history")),
        ("point at learning curves", lambda: person.points_over("curves")),
        ("zoom into learning curves", lambda: person.zooms("curves")),
        ("see all of them again", lambda: person.sees_all("curves")),
        ("zoom into the history", lambda: person.zooms("history")),
        ("see all of it again", lambda: person.sees_all("history")),
        ("choose another hyperparameter", person.chooses),
        ("filter by a number", lambda: person.types("value", "> 0.6")),
        ("filter by a word, too", lambda: person.types("state", "comp")),
        ("take a filter away", lambda: person.clears("value")),
        ("sort by the duration", lambda: person.sorts(4)),
        ("sort by it the other way", lambda: person.sorts(4)),
        ("scroll through the table", person.scrolls),
        ("open a trial", person.opens),
        ("close it", person.closes),
    ]
    for name, act in acts:
        yield name, *person.does(act)


class Over(Exception):
    """Ends the server."""


@contextmanager
def watching(run_dir: Path) -> Iterator[str]:
    """The address at which `sweep watch` serves a run."""
    found: list[str] = []
    ready, over = threading.Event(), threading.Event()

    def on_ready(address: str) -> None:
        found.append(address)
        ready.set()
        over.wait()
        raise Over

    def target() -> None:
        with suppress(Over):
            serve(run_dir, host="127.0.0.1", port=0, on_ready=on_ready)

    thread = threading.Thread(target=target)
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        over.set()
        thread.join()


def following_s(chrome: Chrome, log: Log, number: int) -> float:
    """Seconds from a trial's records in the log until the page counts it."""
    text = f"{number + 1} trials"
    log.append(trial(number, 20))
    began = time.perf_counter()
    while not chrome.execute_script("return document.getElementById('count').textContent").startswith(text):
        if time.perf_counter() - began > 60:
            raise RuntimeError("the page did not follow its study for a minute")
        time.sleep(0.01)
    return time.perf_counter() - began


def main() -> int:
    """Open the page some times, use it, watch it grow; judge what that took."""
    options = measure.arguments(
        (__doc__ or "").splitlines()[0], trials=5_000, reports=100_000, rounds=3, updates=10
    )
    if not (CHROMIUM and DRIVER):
        print("chromium and chromedriver are not installed: nothing to measure", file=sys.stderr)
        return 2
    benchmark = Benchmark("The page of a large study", packages=("pandas", "selenium"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        run_dir = Path(folder, "large")
        measure.say(f"writing {options.trials:,} trials, {options.reports:,} reports")
        log = write_run(run_dir, trials=options.trials, reports=options.reports)
        began = time.perf_counter()
        page = report.write(run_dir)
        written_s, megabytes = time.perf_counter() - began, page.stat().st_size / 1e6
        with browser(Path(folder, "profile")) as chrome:
            _opened(benchmark, "report", chrome, page.as_uri(), options.rounds)
            for name, event_ms, task_ms in interactions(chrome):
                benchmark.enter({"what": name, "value": event_ms, "unit": "ms", "longest task": task_ms})
                worst = max(event_ms, task_ms)
                benchmark.checks.append(measure.check(f"{name}, ms", worst, bound=REACTS_MS))
            with watching(run_dir) as address:
                _opened(benchmark, "sweep watch", chrome, address, options.rounds)
                took = [following_s(chrome, log, options.trials + n) for n in range(options.updates)]
                console: list[dict[str, str]] = chrome.get_log("browser")  # type: ignore[no-untyped-call]
            for each in console:
                measure.say(f"the console says: {each['message']}")
    for what, value, unit in (
        ("write the report", written_s, "s"),
        ("its size", megabytes, "MB"),
        ("an update of sweep watch, median", statistics.median(took), "s"),
        ("an update of sweep watch, longest", max(took), "s"),
        ("messages of the console", float(len(console)), ""),
    ):
        benchmark.enter({"what": what, "value": value, "unit": unit, "longest task": ""})
    benchmark.checks.append(measure.check("the report, MB", megabytes, bound=FILE_MB))
    benchmark.checks.append(measure.check("an update of sweep watch, s", max(took), bound=FOLLOWS_S))
    benchmark.checks.append(measure.check("messages of the console", len(console), bound=0))
    return benchmark.finish(as_json=options.json)


def _opened(benchmark: Benchmark, what: str, chrome: Chrome, address: str, rounds: int) -> None:
    times = [opening_s(chrome, address) for _ in range(rounds)]
    benchmark.enter({"what": f"open {what}", "value": max(times), "unit": "s", "longest task": ""})
    benchmark.checks.append(measure.check(f"open {what}, s", max(times), bound=OPENS_S))


if __name__ == "__main__":
    sys.exit(main())
