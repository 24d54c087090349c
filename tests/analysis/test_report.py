"""The report, opened in a real browser."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import analysis
from analysis import plots, report
from runlog.final import Final
from tests.analysis.conftest import environment
from tests.browser import browser, needs_browser
from tests.run_dirs import begin, complete, open_run


@pytest.mark.slow
@needs_browser
def test_the_report_renders_sorts_and_reports_no_error(run_path: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By

    page = report.write(run_path, tmp_path / "report.html")
    with browser(tmp_path / "profile") as chrome:
        chrome.get(page.as_uri())
        images = chrome.find_elements(By.CSS_SELECTOR, "figure img")
        assert len(images) == len(plots.ALL) - 1
        assert all(image.get_property("naturalWidth") for image in images)
        rows = "[...document.querySelectorAll('#trials tbody tr')]"
        column = f"return {rows}.map(row => Number(row.children[0].innerText))"
        run = analysis.load(run_path)
        best = run.best(20).number.tolist()
        assert chrome.execute_script(column)[: len(best)] == best
        heading = chrome.find_element(By.CSS_SELECTOR, "#trials th button")
        for expected in (sorted(run.trials.number), sorted(run.trials.number, reverse=True)):
            heading.click()
            assert chrome.execute_script(column) == expected
        study_file = chrome.find_element(By.ID, "best").text
        chrome.save_screenshot(str(tmp_path / "report.png"))
        assert chrome.get_log("browser") == []
    shutil.copy(Path(run.provenance["folder"], "line.py"), tmp_path)
    (tmp_path / "best.yaml").write_text(study_file)
    command = [sys.executable, "-m", "sweep", "check", "best.yaml"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_report_asks_the_network_for_nothing(run_path: Path, tmp_path: Path) -> None:
    text = report.write(run_path, tmp_path / "report.html").read_text()
    assert 'src="http' not in text
    assert 'href="http' not in text


@pytest.mark.slow
def test_what_is_damaged_or_missing_is_said_in_the_report(own_run: Path) -> None:
    (own_run / "provenance.json").write_text("{")
    with (own_run / "log.jsonl").open("ab") as log:
        log.write(b"<b>rubbish\n")
    text = report.write(own_run).read_text()
    assert "is damaged and was skipped" in text
    assert "provenance.json: is not what the log recorded" in text
    assert "<b>rubbish" not in text
    assert "Not drawn: pareto (has one objective" in text
    assert sorted(own_run.glob("report*")) == [own_run / "report.html"]


def test_a_study_that_has_only_begun_has_a_report(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.commit()
        text = report.write(run.path).read_text()
    assert "Trials: none yet" in text
    assert "No end is recorded" in text


@pytest.mark.slow
def test_what_was_found_at_the_end_is_in_the_report_and_harmless(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0, 1)
        run.record_final(1, Final({"test_accuracy": 0.625}, (("<i>Who?</i>", "I\nam"),)))
        run.commit()
        text = report.write(run.path).read_text()
    assert "<th><button>test_accuracy</button></th>" in text
    assert ">0.625<" in text
    assert "What the model of trial 1 answers." in text
    assert "<dt>&lt;i&gt;Who?&lt;/i&gt;</dt><dd>I\nam</dd>" in text


@pytest.mark.slow
def test_a_report_that_cannot_be_written_gets_one_line(run_path: Path, tmp_path: Path) -> None:
    with pytest.raises(analysis.RunError, match="cannot be written"):
        report.write(run_path, tmp_path / "nowhere" / "report.html")
