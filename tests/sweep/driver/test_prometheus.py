"""What Ray shows of a study while it runs: numbers for Prometheus, actors in the dashboard."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import sweep
from sweep.driver.monitor import prometheus
from sweep.driver.monitor.progress import BestSoFar, StudyView
from sweep.driver.monitor.prometheus import GAUGES, RayMetrics
from sweep.executors.ray.actor import process_title
from tests.browser import browser, needs_browser
from tests.logs import records
from tests.processes import actors, title, wait_for, wait_until
from tests.sweep.conftest import Folder

pytestmark = pytest.mark.slow

PUBLISHED = {f"ray_{name}" for name in (*GAUGES, "sweep_trials", "sweep_examples_total")}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Folder, str, int]]:
    """A study on Ray that goes on until it is stopped, what it said at its start, and its process."""
    folder = Folder(tmp_path_factory.mktemp("study"))
    folder.write(("executor: inline\n", ""), ("slow: 0.0", "slow: 0.2"), ("trials: 4", "trials: 100000"))
    said = folder.path / "said.txt"
    with said.open("w") as file:
        driver = subprocess.Popen(
            folder.command("run", "study.yaml"), cwd=folder.path, env=folder.environment(),
            stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(lambda: len(records(folder.run_dir, "told")) > 2, driver)
        yield folder, said.read_text(), driver.pid
    finally:
        driver.terminate()
        driver.wait(timeout=300)


def scraped(url: str) -> dict[str, dict[str, float]]:
    """The study's numbers by name and by what tells those of one name apart."""
    text = urllib.request.urlopen(url).read().decode()
    found: dict[str, dict[str, float]] = {}
    for name, labels, number in re.findall(r"^(ray_sweep_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        tags: dict[str, str] = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        assert tags["study"] == "line"
        found.setdefault(name, {})[tags.get("state", tags.get("metric", ""))] = float(number)
    return found


def test_the_metrics_endpoint_has_the_studys_numbers(running: tuple[Folder, str, int]) -> None:
    folder, said, _ = running
    url = re.findall(r"metrics: (\S+)$", said, re.MULTILINE)[0]
    numbers: dict[str, dict[str, float]] = {}

    def published() -> object:
        numbers.update(scraped(url))
        return numbers.get("ray_sweep_trials", {}).get("COMPLETE")

    wait_until(published)
    assert set(numbers) == PUBLISHED
    trials = numbers["ray_sweep_trials"]
    assert set(trials) == {"COMPLETE", "PRUNED", "FAIL", "RUNNING"}
    told = records(folder.run_dir, "told")
    assert 0 < trials["COMPLETE"] <= len(told)
    values = [record["values"][0] for record in told]
    assert any(numbers["ray_sweep_best_value"]["validation_loss"] == pytest.approx(value) for value in values)
    assert numbers["ray_sweep_budget_trials"][""] == 100000
    assert 0 < numbers["ray_sweep_lanes_busy"][""] <= numbers["ray_sweep_lanes"][""]
    assert numbers["ray_sweep_examples_total"][""] >= 192 * trials["COMPLETE"]
    assert numbers["ray_sweep_faults"][""] == 0


@needs_browser
def test_the_dashboard_opens_by_what_is_said_and_shows_actors_and_programs(
    running: tuple[Folder, str, int], tmp_path: Path
) -> None:
    from selenium.webdriver.common.by import By

    _, said, _ = running
    url, command = re.findall(r"Ray's dashboard: (\S+) .*paste what `(.+?)` prints", said)[0]
    token = subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout.strip()
    with browser(tmp_path / "profile", width=1900, height=900) as chrome:
        chrome.implicitly_wait(60)
        chrome.get(f"{url}/#/actors")
        chrome.find_element(By.CSS_SELECTOR, "input[type=password]").send_keys(token)
        chrome.find_element(
            By.XPATH, "//button[contains(translate(., 'SUBMIT', 'submit'), 'submit')]"
        ).click()
        chrome.find_element(By.XPATH, "//td[contains(., 'line/') and contains(., '/slot-0')]")
        chrome.save_screenshot(str(tmp_path / "actors.png"))
        chrome.get(f"{url}/#/cluster")
        chrome.find_element(By.XPATH, "//a[contains(., 'line/') and contains(., 'slow=0.2')]")
        chrome.save_screenshot(str(tmp_path / "cluster.png"))


def test_grafana_asks_for_numbers_that_are_published() -> None:
    text = (Path(sweep.__file__).parent / "driver/monitor/grafana.json").read_text()
    asked = set(re.findall(r"ray_sweep_\w+", text))
    assert asked == PUBLISHED
    dashboard: dict[str, Any] = json.loads(text)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_a_process_is_named_after_its_actor_and_program_most_of_the_time(
    running: tuple[Folder, str, int],
) -> None:
    """Ray names it anew whenever a call begins or ends, also one that only reads a file."""
    *_, driver = running
    workers = actors(driver)
    seen: list[str] = []

    def both_had_a_program() -> bool:
        seen.extend(title(worker).split("\0")[0].strip() for worker in workers)
        with_program = [name for name in seen if re.fullmatch(r"ray::line/\S+/slot-[01] .*slow=0.2", name)]
        return len({name.split()[0] for name in with_program}) == 2 and len(seen) >= 200

    wait_until(both_had_a_program, what="both workers to be named after a program")
    ours = [name for name in seen if re.match(r"ray::line/\S+/slot-[01]\b", name)]
    assert len(ours) > 0.5 * len(seen), set(seen) - set(ours)


class Number:
    """Stands for Ray's gauges and counters: keeps what was set, by name and tag."""

    made: dict[str, Number]

    def __init__(self, name: str, text: str, tag_keys: tuple[str, ...]) -> None:
        self.values: dict[str, float] = {}
        self.default_tags: dict[str, str] = {}
        self.made[name] = self

    def set_default_tags(self, tags: dict[str, str]) -> None:
        self.default_tags = tags

    def set(self, value: float, tags: dict[str, str] | None = None) -> None:
        self.values["".join((tags or {}).values())] = value

    def inc(self, value: float) -> None:
        self.values[""] = self.values.get("", 0) + value


class Shown:
    """Stands for the progress that a person sees."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    def tip(self, text: str) -> None:
        self.said.append(f"tip: {text}")

    def stage(self, text: str) -> None:
        self.said.append(f"stage: {text}")

    def show(self, view: StudyView) -> None:
        self.said.append("shown")

    def close(self) -> None:
        self.said.append("closed")


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Ray's parts in the place of which numbers are kept; what it says of its addresses."""
    found = {"node_ip_address": "127.0.0.1", "metrics_export_port": 8080, "webui_url": "127.0.0.1:8265"}
    Number.made = {}
    monkeypatch.setattr(prometheus, "Gauge", Number)
    monkeypatch.setattr(prometheus, "Counter", Number)
    monkeypatch.setattr(prometheus, "init", lambda **_: SimpleNamespace(address_info=found))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    return found


def test_what_is_shown_is_published_once_a_second(
    address: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("sweep.driver.monitor.prometheus.time.monotonic", lambda: now)
    shown = Shown()
    progress = RayMetrics("line", "loss", shown)
    view = StudyView({"COMPLETE": 2, "FAIL": 1}, 3, None, 2, 8, 7, 1, 10.0, 5.0, examples=100, waiting=4)
    progress.show(view)
    progress.show(replace(view, running=9))
    numbers = {name: each.values for name, each in Number.made.items()}
    assert numbers["sweep_trials"] == {"COMPLETE": 2, "PRUNED": 0, "FAIL": 1, "RUNNING": 3}
    assert numbers["sweep_examples"] == {"": 100}
    assert numbers["sweep_queue"] == {"": 4}
    assert numbers["sweep_budget_trials"] == numbers["sweep_best_value"] == {}
    now = 1.0
    progress.show(replace(view, examples=150, budget=10, best=BestSoFar(1, 0.5, {})))
    assert numbers["sweep_examples"] == {"": 150}
    assert (numbers["sweep_budget_trials"], numbers["sweep_best_value"]) == ({"": 10}, {"": 0.5})
    now = 2.0
    progress.show(replace(view, examples=150))
    assert numbers["sweep_examples"] == {"": 150}
    assert Number.made["sweep_best_value"].default_tags == {"study": "line", "metric": "loss"}
    for say in (progress.note, progress.tip, progress.stage):
        say("a")
    progress.close()
    metrics = "metrics: http://127.0.0.1:8080/metrics"
    first = f"tip: Ray's dashboard: http://127.0.0.1:8265; {metrics}"
    assert shown.said == [first, *["shown"] * 4, "a", "tip: a", "stage: a", "closed"]


def test_where_the_dashboard_is_and_how_to_log_in(
    address: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    assert "ray get-auth-token` prints)" in prometheus._where()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/elsewhere/token")
    assert "paste what `cat /elsewhere/token` prints" in prometheus._where()
    address["webui_url"] = None
    assert prometheus._where().startswith("Ray's dashboard does not run; metrics: ")


def test_a_title_has_the_actor_and_the_program() -> None:
    found = process_title("digits/mac/slot-0", (("hidden", 64), ("precision", "float32")))
    assert found == "digits/mac/slot-0 hidden=64 precision=float32"
    assert process_title("digits/mac/slot-0", ()) == "digits/mac/slot-0"
