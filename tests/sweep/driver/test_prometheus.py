"""What Ray shows of a study while it runs: numbers for Prometheus, actors in the dashboard."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sweep
from sweep.driver.monitor.prometheus import GAUGES
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
    for _ in range(100):
        seen += [title(worker).split("\0")[0].strip() for worker in workers]
        time.sleep(0.02)
    named = [name for name in seen if re.fullmatch(r"ray::line/\S+/slot-[01] .*slow=0.2", name)]
    assert len({name.split()[0] for name in named}) == 2
    assert len(named) > 0.5 * len(seen)


def test_a_title_has_the_actor_and_the_program() -> None:
    found = process_title("digits/mac/slot-0", (("hidden", 64), ("precision", "float32")))
    assert found == "digits/mac/slot-0 hidden=64 precision=float32"
    assert process_title("digits/mac/slot-0", ()) == "digits/mac/slot-0"
