"""`sweep init`: a commented study and its task to start from, copies of examples."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sweep.errors import SweepError
from sweep.rundir.disk import disk_errors
from sweep.spec.json_schema import FILE, study_schema_text

Template = Literal["digits", "module", "lm", "function"]


def templates_folder() -> Path:
    """Where the examples lie: inside an installed package, beside the package in a checkout."""
    installed = Path(__file__).parents[1] / "templates"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "examples"


def write_template(template: Template, folder: Path) -> list[Path]:
    """Write study, task and schema into `folder`, made where it is missing; gives what was written.

    Raises SweepError where a study or task already exists: nothing is overwritten.
    """
    source = templates_folder() / template
    study = (source / "study.yaml").read_text()
    study = study.replace(f"$schema=../{FILE}", f"$schema={FILE}").replace(f"examples/{template}/", "")
    texts = {"study.yaml": study, "task.py": (source / "task.py").read_text()}
    if there := [name for name in texts if (folder / name).exists()]:
        raise SweepError(
            f"{folder / there[0]}: already exists and is not overwritten. "
            "Choose another folder with --into DIR"
        )
    texts[FILE] = study_schema_text()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text)
    return [folder / name for name in texts]
