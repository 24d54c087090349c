"""The verb that writes a run's report, and the report at the end of a run."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import RunDirectory
from sweep.errors import SweepError

NEEDED = ("matplotlib", "jinja2")


def report(run: RunDirectory) -> None:
    """Write a run's report: one HTML file with plots, the table and the best configuration.

    \b
    sweep report runs/digits
    """
    with errors_end_the_command():
        print(write_report(run))


def write_report(run: Path) -> Path:
    """Write the report into the run directory; its path. Raises SweepError where that cannot be done."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise SweepError(f"a report needs {' and '.join(missing)}: pip install 'sweep-mlx[analysis]'")
    import analysis
    from analysis.report import write

    try:
        return write(run)
    except analysis.RunError as error:
        raise SweepError(str(error)) from error
