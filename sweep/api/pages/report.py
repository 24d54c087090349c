"""`sweep report`: a run as one HTML file with plots, the table and the best configuration."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from sweep.errors import SweepError

NEEDED = ("matplotlib", "jinja2")


def check_installed() -> None:
    """Raise SweepError where what a page is made with is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise SweepError(f"a report needs {' and '.join(missing)}: pip install 'sweep-mlx[analysis]'")


def write_report(run_dir: str | Path) -> Path:
    """Write the report into the run directory; its path. Raises SweepError where that cannot be done."""
    check_installed()
    import analysis
    from analysis.report import write

    try:
        return write(Path(run_dir))
    except analysis.RunError as error:
        raise SweepError(str(error)) from error
