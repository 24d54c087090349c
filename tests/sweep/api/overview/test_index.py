"""The page of a folder of runs: what it says of each, and how it looks in a real browser."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runlog.integrity import checksum
from sweep.api.overview.index import is_folder_of_runs, write_index
from sweep.api.status import read_status
from sweep.cli import app
from sweep.errors import RunDirError, SweepError
from tests.browser import browser, needs_browser
from tests.processes import wait_until
from tests.run_dirs import START, Clock, ask, begin, complete, open_run

RUNS = 50


def run_in(folder: Path, hours: float, *, closed: bool = True) -> Path:
    """A study on two nodes, one of which it held a quarter of the time."""
    clock = Clock()
    with open_run(folder, clock) as run:
        run.write_study("name: study\ntask: line.py:Line\n")
        begin(run)
        run.record_slot("mac-1-0", host="mac-1", chip="M2")
        run.record_slot("mac-2-0", host="mac-2", chip="M4")
        complete(run, 0, 1)
        clock.now = START + 900 * hours
        run.record_lost("mac-2-0", host="mac-2", reason="gone")
        ask(run, 2)
        clock.now = START + 3600 * hours
        run.close("finished") if closed else run.record_slot("mac-1-1", host="mac-1", chip="M2")
        run.commit()
    return run.path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty runs: most finished, some killed, damaged, of a newer version, empty; one of format 1."""
    root = tmp_path_factory.mktemp("lab") / "runs"
    made = [run_in(root.parent / f"made-{hours}", hours) for hours in (1, 2, 3)]
    killed = run_in(root.parent / "killed", 4, closed=False)
    root.mkdir()
    for number in range(RUNS - 4):
        shutil.copytree(killed if number % 9 == 0 else made[number % 3], root / f"run-{number:02d}")
    for number in range(0, RUNS - 4, 2):
        (root / f"run-{number:02d}" / "report.html").write_text("<!doctype html><title>a report</title>")
    with (root / "run-03" / "log.jsonl").open("ab") as log:
        log.write(b"<b>rubbish\n")
    (root / "newer").mkdir()
    (root / "newer" / "log.jsonl").write_text('{"event":"opened","time":1.0,"format":3}\n')
    (root / "empty").mkdir()
    (root / "a <i>folder").mkdir()
    (root / "a <i>folder" / "log.jsonl").mkdir()
    shutil.copytree(Path(__file__).parents[3] / "data" / "format-1" / "run", root / "old")
    return root


def test_each_run_has_a_row_and_no_damaged_one_hides_another(folder: Path) -> None:
    written = write_index(folder)
    text = written.path.read_text()
    assert written.path == folder / "index.html"
    assert written.runs == RUNS
    for problem, name in zip(written.problems, ("a <i>folder", "empty", "newer", "run-03"), strict=True):
        assert f"/runs/{name}" in problem
    data = json.loads(text.partition('id="runs-data" type="application/json">')[2].partition("</script>")[0])
    rows = {row[0]: dict(zip(data["columns"], row, strict=True)) for row in data["rows"]}
    assert len(rows) == RUNS
    assert rows["run-01"]["question"].startswith("maximize accuracy of line.py:Line by learning_rate, hidden")
    assert rows["run-01"]["hours"] == 2.5
    assert rows["run-01"]["hours by node"] == "mac-1 2, mac-2 0.5"
    assert (rows["run-01"]["state"], rows["run-09"]["state"]) == ("finished", "killed")
    assert (rows["run-01"]["trials"], rows["run-01"]["budget"]) == (2, 8)
    assert rows["newer"]["state"] == "not readable"
    assert "format 3, this version reads up to 2" in rows["newer"]["problem"]
    assert rows["old"]["question"].startswith("minimize validation_loss by ")
    assert set(data["links"]) == {f"run-{number:02d}" for number in range(0, RUNS - 4, 2)}
    assert "<i>" not in text
    assert 'src="http' not in text
    assert 'href="http' not in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"constraints":{}', b'"constraints":1'),
        (b'"params":{', b'"params":"x","p":{'),
        (b'"time":17', b'"time":-1e99,"t":17'),
    ],
)
def test_a_record_that_makes_no_sense_ends_its_own_run_alone(tmp_path: Path, old: bytes, new: bytes) -> None:
    """A log of format 1 has no checksums that would tell."""
    run_in(tmp_path, 1)
    log = shutil.copytree(tmp_path / "study", tmp_path / "other") / "log.jsonl"
    text = b"".join(checksum.unsealed(line) + b"\n" for line in log.read_bytes().splitlines())
    log.write_bytes(text.replace(b'"format":2', b'"format":1').replace(old, new))
    written = write_index(tmp_path)
    assert written.runs == 2
    assert '"study","finished"' in written.path.read_text()
    assert all(f"{tmp_path}/other" in each for each in written.problems)


def test_what_is_running_is_named_with_its_workers(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.record_slot("mac-1-0", host="mac-1", chip="M2")
        run.record_slot("mac-1-1", host="mac-1", chip="M2")
        ask(run, 0, 1)
        run.commit()
        text = write_index(tmp_path).path.read_text()
        status = read_status(run.path)
    assert "0 of 8 trials ended, 2 open; workers: mac-1 2" in text
    assert status.workers == {"mac-1": 2}


def test_report_takes_a_run_or_a_folder_of_runs(tmp_path: Path) -> None:
    run_in(tmp_path, 1)
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert (done.exit_code, done.output) == (0, f"{tmp_path}/index.html\n")
    told = CliRunner().invoke(app, ["report", str(tmp_path), "--json"])
    assert json.loads(told.stdout) == {"path": f"{tmp_path}/index.html", "runs": 1, "problems": []}
    (tmp_path / "nothing").mkdir()
    none = CliRunner().invoke(app, ["report", str(tmp_path / "nothing")])
    assert none.exit_code == 2
    assert len(none.output.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    run_in(tmp_path, 1)
    (tmp_path / "index.html").mkdir()
    with pytest.raises(SweepError, match=r"index\.html: cannot be written"):
        write_index(tmp_path)
    assert list(tmp_path.glob("*.partial")) == []


@pytest.mark.slow
@needs_browser
def test_fifty_runs_in_a_browser(folder: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By

    page = write_index(folder).path
    with browser(tmp_path / "profile") as chrome:
        chrome.get(page.as_uri())
        rows = "[...document.querySelectorAll('#runs tbody tr:not(.spacer)')]"
        column = f"return {rows}.map(row => row.cells[arguments[0]].innerText)"
        count = chrome.find_element(By.ID, "count")
        assert count.text == f"{RUNS} runs"
        headings = [each.text for each in chrome.find_elements(By.CSS_SELECTOR, "#runs th button")]
        hours = headings.index("hours")
        by_hours = chrome.find_elements(By.CSS_SELECTOR, "#runs th button")[hours]
        by_hours.click()
        by_hours.click()
        assert chrome.execute_script(column, hours)[:3] == ["5", "5", "5"]
        chrome.find_element(By.NAME, "filter-state").send_keys("killed")
        assert count.text == f"7 of {RUNS} runs"
        chrome.find_element(By.NAME, "filter-hours").send_keys("> 6")
        assert count.text == f"0 of {RUNS} runs"
        chrome.find_element(By.NAME, "filter-hours").send_keys("\b\b\b< 6")
        assert count.text == f"7 of {RUNS} runs"
        metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        for size in (metrics, {**metrics, "width": 1600}):
            chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            for scheme, colour in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(22, 22, 22)")):
                features = [{"name": "prefers-color-scheme", "value": scheme}]
                chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
                fits = "return document.documentElement.scrollWidth <= innerWidth"
                wait_until(partial(chrome.execute_script, fits), what=f"{size['width']} pixels to be enough")
                back = chrome.execute_script("return getComputedStyle(document.body).backgroundColor")
                assert back == colour
                chrome.save_screenshot(str(tmp_path / f"{size['width']}-{scheme}.png"))
        chrome.find_element(By.LINK_TEXT, "run-00").click()
        wait_until(lambda: chrome.title == "a report", what="the run's report")
        assert chrome.get_log("browser") == []


def test_a_folder_without_runs_is_said_to_have_none(tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    with pytest.raises(RunDirError, match=r"is no run, it has no log\.jsonl, and none of its folders is one"):
        is_folder_of_runs(tmp_path)
