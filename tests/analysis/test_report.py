"""The report, opened in a real browser."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import analysis
from analysis import plots, report
from runlog.final import Final
from tests.analysis.conftest import environment
from tests.browser import browser, needs_browser
from tests.processes import wait_until
from tests.run_dirs import begin, complete, open_run

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


@pytest.mark.slow
@needs_browser
def test_the_report_renders_sorts_and_reports_no_error(run_path: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By

    page = report.write(run_path, tmp_path / "report.html")
    with browser(tmp_path / "profile") as chrome:
        chrome.get(page.as_uri())
        images = chrome.find_elements(By.CSS_SELECTOR, "figure img")
        assert len(images) == len(plots.ALL) - 3  # of one objective, without a population
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
        _filters_points_and_opens(chrome, run)
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


def _filters_points_and_opens(chrome: Chrome, run: analysis.Run) -> None:
    """The table leaves what a filter asks for; a dot tells its trial, and opens it to its curves."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    state, value = (chrome.find_element(By.NAME, f"filter-{name}") for name in ("state", "value"))
    count = chrome.find_element(By.ID, "count")
    state.send_keys("comp")
    assert count.text == f"{(run.trials['state'] == 'COMPLETE').sum()} of {len(run.trials)} trials"
    state.send_keys("x")
    assert count.text == f"0 of {len(run.trials)} trials"
    state.send_keys("\b" * len("compx"))
    median = float(run.trials["value"].median())
    value.send_keys(f"<= {median!r}")
    assert count.text == f"{(run.trials['value'] <= median).sum()} of {len(run.trials)} trials"
    best = int(run.best()["number"].iloc[0])
    drawn = "return !waiting && historyItems.length"
    wait_until(lambda: chrome.execute_script(drawn))  # charts follow once the person pauses
    over = chrome.find_element(By.CSS_SELECTOR, "#history .u-over")
    chrome.execute_script("arguments[0].scrollIntoView({block: 'center'})", over)
    left, top = chrome.execute_script(
        "const each = historyItems.find((item) => item.trial === arguments[0]);"
        "return [charts.history.map('x', 1, 0)(each.x), charts.history.map('y', 1, 0)(each.y)]",
        best,
    )
    right, down = round(left - over.size["width"] / 2), round(top - over.size["height"] / 2)
    ActionChains(chrome).move_to_element_with_offset(over, right, down).perform()
    tip = chrome.find_element(By.CSS_SELECTOR, "#history .tip")
    wait_until(lambda: tip.text.startswith(f"trial {best}, complete"), what=f"trial {best} below the pointer")
    ActionChains(chrome).click().perform()
    dialog = chrome.find_element(By.ID, "trial")
    wait_until(dialog.is_displayed, what="the opened trial")
    assert dialog.find_element(By.TAG_NAME, "h2").text == f"Trial {best}"
    charts = "return document.querySelectorAll('#trial .charts .uplot').length"
    wait_until(lambda: chrome.execute_script(charts) == len(run.metric_names))
    dialog.find_element(By.TAG_NAME, "button").click()
    assert not dialog.is_displayed()


PAINTED = """\
const canvas = document.querySelector(`${arguments[0]} canvas`);
const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
const context = copy.getContext("2d", { willReadFrequently: true });
context.drawImage(canvas, 0, 0);
const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
const [red, green, blue] = css(arguments[1]).slice(1).match(/../g).map((each) => parseInt(each, 16));
for (let at = 0; at < data.length; at += 4) {
  const away = Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue);
  if (away < 60 && data[at + 3] > 80) return true;
}
return false;
"""
"""Whether a chart has a dot or a line of a colour."""

CONTRASTS = """\
const light = (colour) => {
  const [r, g, b] = colour.match(/[0-9.]+/g).map(Number).map((each) => each / 255)
    .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (each) => {
  for (; each; each = each.parentElement) {
    const found = getComputedStyle(each).backgroundColor;
    if (found !== "rgba(0, 0, 0, 0)") return found;
  }
};
const texts = "h1, h2, p, figcaption, td, th button, dt, dd, .legend span, input, pre";
return [...document.querySelectorAll(texts)]
  .filter((each) => each.checkVisibility() && each.textContent).map((each) => {
    const [one, other] = [light(getComputedStyle(each).color), light(behind(each))].sort((a, b) => b - a);
    return [(one + 0.05) / (other + 0.05), each.tagName, each.textContent.slice(0, 20)];
  }).sort((a, b) => a[0] - b[0])[0];
"""
"""The text that is hardest to read: the ratio of its lightness to that behind it, as WCAG has it."""

COLOURS = {"#history": "--complete", "#slices": "--complete", "#curves": "--first"}

BEYOND = """\
return [...document.querySelectorAll("h1, h2, figure, .chart canvas, #table, pre, dialog[open]")]
  .filter((each) => each.checkVisibility()).map((each) => [each.getBoundingClientRect(), each])
  .filter(([found]) => found.left < 0 || found.right > innerWidth).map(([, each]) => each.tagName);
"""
"""What is wider than the window."""


@pytest.mark.slow
@needs_browser
def test_the_page_is_fit_for_every_screen_and_the_printer_gets_the_pictures(
    run_path: Path, tmp_path: Path
) -> None:
    """Light and dark, on a phone and on a wide screen: all can be read, nothing stands beyond the edge."""
    page = report.write(run_path, tmp_path / "report.html")
    with browser(tmp_path / "profile") as chrome:

        def emulate(media: str, scheme: str) -> None:
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

        def shows(selector: str) -> bool:
            found = chrome.execute_script(
                "return document.querySelector(arguments[0]).checkVisibility()", selector
            )
            return bool(found)

        chrome.get(page.as_uri())
        for width, scheme, back in (
            (390, "light", "rgb(255, 255, 255)"),
            (1600, "light", "rgb(255, 255, 255)"),
            (1600, "dark", "rgb(22, 22, 22)"),
            (390, "dark", "rgb(22, 22, 22)"),
        ):
            metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
            chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            emulate("screen", scheme)
            chrome.execute_script("openTrial(run.order[0])")
            wait_until(lambda: chrome.execute_script("return !waiting && opened.length > 0"))
            wait_until(lambda: not chrome.execute_script(BEYOND))  # charts follow the window
            assert chrome.execute_script("return document.documentElement.scrollWidth <= innerWidth")
            assert chrome.execute_script("return getComputedStyle(document.body).backgroundColor") == back
            ratio, *text = chrome.execute_script(CONTRASTS)
            assert ratio >= 4.5, (width, scheme, text)
            for chart, colour in COLOURS.items():
                painted = partial(chrome.execute_script, PAINTED, chart, colour)
                wait_until(painted, what=f"{chart} in {colour}")
            assert shows("#history")
            assert not shows("#still-history")
            chrome.save_screenshot(str(tmp_path / f"{scheme}-{width}.png"))
            chrome.execute_script("document.getElementById('trial').close()")
            emulate("print", scheme)
            for still in ("#still-history", "#still-curves", "#table"):
                assert shows(still), still
            assert not shows("#history")
        assert chrome.get_log("browser") == []


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
    assert "<th>test_accuracy</th>" in text
    assert ">0.625<" in text
    assert "What the model of trial 1 answers." in text
    assert "<dt>&lt;i&gt;Who?&lt;/i&gt;</dt><dd>I\nam</dd>" in text


@pytest.mark.slow
def test_a_report_that_cannot_be_written_gets_one_line(run_path: Path, tmp_path: Path) -> None:
    with pytest.raises(analysis.RunError, match="cannot be written"):
        report.write(run_path, tmp_path / "nowhere" / "report.html")
