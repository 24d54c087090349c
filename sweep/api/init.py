"""`sweep init`: a commented study and its task to start from, copies of examples."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from sweep.errors import SweepError
from sweep.rundir.disk import disk_errors
from sweep.spec.json_schema import FILE, study_schema_text

Template = Literal["digits", "module", "lm", "lora", "function", "script"]

AGENTS = "AGENTS.md"
"""What tells agents of the study's folder what to type."""

FILES: Mapping[str, tuple[str, ...]] = {
    "lora": ("study.yaml", "lora_config.yaml", "tiny_base.py"),
    "script": ("study.yaml", "train.py"),
}
"""What a template consists of, where it is not a study and its task."""

MADE: Mapping[str, tuple[str, ...]] = {"lora": ("base", "data")}
"""What a template's set-up makes."""

SETUP: Mapping[str, tuple[str, str]] = {"lora": ("tiny_base.py", "mlx_lm")}
"""A template's script that makes what the study needs, and the package that it needs itself."""


def templates_folder() -> Path:
    """Where the examples lie: inside an installed package, beside the package in a checkout."""
    installed = Path(__file__).parents[1] / "templates"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "examples"


def write_template(template: Template, folder: Path) -> list[Path]:
    """Write study, task, schema and AGENTS.md into `folder`, made where it is missing; the paths of them.

    Raises SweepError where a study or task already exists: nothing is overwritten. An AGENTS.md that exists
    stays as it is.
    """
    source = templates_folder() / template
    _require_package(template)
    study = (source / "study.yaml").read_text()
    study = study.replace(f"$schema=../{FILE}", f"$schema={FILE}").replace(f"examples/{template}/", "")
    names = FILES.get(template, ("study.yaml", "task.py"))
    texts = {name: study if name == "study.yaml" else (source / name).read_text() for name in names}
    if there := [name for name in (*texts, *MADE.get(template, ())) if (folder / name).exists()]:
        raise SweepError(
            f"{folder / there[0]}: already exists and is not overwritten. "
            "Choose another folder with --into DIR"
        )
    texts[FILE] = study_schema_text()
    if not (folder / AGENTS).exists():
        texts[AGENTS] = (templates_folder() / AGENTS).read_text()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text)
    return [folder / name for name in texts]


def _require_package(template: Template) -> None:
    """Say it before anything is written."""
    package = SETUP[template][1] if template in SETUP else None
    if package is not None and not _is_there(package):
        raise SweepError(
            f"{template} needs {package}, which is not installed. Type: pip install 'sweep-mlx[lm]'"
        )


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # it is imported, and has no spec
        return False


def set_up(template: Template, folder: Path) -> str:
    """Run the template's own set-up, where it has one; gives what that says. Raises SweepError."""
    if template not in SETUP:
        return ""
    script, _ = SETUP[template]
    done = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SweepError(f"{folder / script}: ended with code {done.returncode}: {last}")
    return done.stdout.strip()
