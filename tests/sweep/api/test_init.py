"""What `sweep init` writes runs as it stands, wherever it is written, also from an installed package."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import mlx.core as mx
import pytest

from sweep.api.init import FILES, Template, write_template
from sweep.api.run import run_study
from sweep.driver.monitor.progress import Quiet
from sweep.errors import SweepError
from sweep.spec.parse import load
from sweep.spec.resolve import with_budget_trials

ROOT = Path(__file__).parents[3]
SHORTER: dict[Template, tuple[str, str]] = {
    "digits": ("epochs: 20", "epochs: 1"),
    "module": ("epochs: 10", "epochs: 1"),
    "lm": ("epochs: 2", "epochs: 1"),
    "function": ("trials: 16", "trials: 3"),
}


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """So few steps take less time than compiling them."""
    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("template", SHORTER)
def test_each_template_runs(template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "cache"))
    study, task, schema, _ = write_template(template, tmp_path / "new")
    text = study.read_text()
    assert text.startswith(f"# yaml-language-server: $schema={schema.name}\n")
    assert "python -m sweep run study.yaml" in text
    task.write_text(task.read_text().replace("40_000", "4_000"))
    shorter = text.replace(*SHORTER[template]).replace("report_every: {epochs: 2}", "")
    assert shorter != text
    shorter = re.sub(r"micro_batch_size: \d+", "micro_batch_size: 256", shorter)
    study.write_text(shorter.replace("lanes: auto", "") + "\nexecutor: inline\nlanes: 1\n")
    spec = with_budget_trials(load(study), 2)
    summary = run_study(spec, runs=tmp_path / "runs", progress=Quiet())
    assert summary.counts["COMPLETE"] == 2


def test_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text("mine")
    with pytest.raises(SweepError, match=r"task.py: already exists and is not overwritten"):
        write_template("digits", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["task.py"]


def test_agents_are_told_what_to_type_where_nothing_tells_them_yet(tmp_path: Path) -> None:
    *_, page = write_template("digits", tmp_path / "new")
    assert page.name == "AGENTS.md"
    commands = re.findall(r"`python -m sweep (\w+)", page.read_text())
    assert {"check", "run", "status", "show", "export", "logs", "schema"} <= set(commands)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "AGENTS.md").write_text("mine")
    assert page.name not in [path.name for path in write_template("digits", tmp_path / "own")]
    assert (tmp_path / "own" / "AGENTS.md").read_text() == "mine"


def test_what_the_set_up_of_a_template_would_replace_is_left_alone(tmp_path: Path) -> None:
    pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")
    (tmp_path / "data").mkdir()
    with pytest.raises(SweepError, match=r"data: already exists and is not overwritten"):
        write_template("lora", tmp_path)


def test_a_template_that_needs_a_package_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlx_lm", None)
    with pytest.raises(SweepError, match=r"lora needs mlx_lm.*Type: pip install 'sweep-mlx\[lm\]'"):
        write_template("lora", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_holds_the_templates(tmp_path: Path) -> None:
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", build, str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        for template in get_args(Template):
            for name in FILES.get(template, ("study.yaml", "task.py")):
                held = files.read(f"sweep/templates/{template}/{name}")
                assert held == (ROOT / "examples" / template / name).read_bytes()
