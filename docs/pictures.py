"""Take the pictures of README.md anew from a real run of the digits example: python docs/pictures.py

The live view is drawn from the views that the run itself showed; the report is photographed by Chromium.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from rich.console import Console

from analysis import report
from sweep.api.run import run_study
from sweep.driver.monitor.live_view import live_table
from sweep.driver.monitor.progress import Quiet, StudyView
from sweep.spec.parse import load
from sweep.spec.resolve import with_budget_trials
from tests.browser import browser

HERE = Path(__file__).parent
TRIALS = 32
SHOWN_AT = 20
"""How many trials had ended when the live view is drawn."""


class Watching(Quiet):
    """Keeps the view in the middle of a run."""

    view: StudyView | None = None

    def show(self, view: StudyView) -> None:
        if self.view is None and view.done >= SHOWN_AT:
            self.view = view


def main() -> None:
    """Run the study and take both pictures."""
    with tempfile.TemporaryDirectory() as folder:
        spec = with_budget_trials(load(HERE.parent / "examples" / "digits" / "study.yaml"), TRIALS)
        watching = Watching()
        summary = run_study(spec, runs=Path(folder), progress=watching)
        assert watching.view is not None, "the run shows more than one view"
        draw(spec.name, watching.view)
        page = report.write(summary.run_dir)
        photograph(page, Path(folder, "profile"))


def draw(name: str, view: StudyView) -> None:
    """The live view as a terminal of 96 columns shows it."""
    console = Console(record=True, width=96, file=io.StringIO(), force_terminal=True)
    console.print(live_table(name, view, console.width))
    console.save_svg(str(HERE / "live.svg"), title="python -m sweep run examples/digits/study.yaml")


def photograph(page: Path, profile: Path) -> None:
    """The report's first screen."""
    with browser(profile, width=1100, height=1400) as chrome:
        chrome.get(page.as_uri())
        chrome.save_screenshot(str(HERE / "report.png"))


if __name__ == "__main__":
    main()
