"""Every block of the page about programs: files are written, commands are run, in the page's order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweep.cli import app
from sweep.spec.command.template import OWN
from sweep.spec.parse import load

PAGE = (Path(__file__).parents[3] / "docs" / "scripts.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.usefixtures("described_here")
def test_every_block_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = 0
    blocks = BLOCK.findall(PAGE)
    for kind, text in blocks:
        if kind != "console":
            Path(text.splitlines()[0].removeprefix("# ")).write_text(text)
    for kind, text in blocks:
        if kind == "yaml":
            load(text.splitlines()[0].removeprefix("# "))
        for line in text.splitlines() if kind == "console" else ():
            done = CliRunner().invoke(app, shlex.split(line.removeprefix("$ sweep ")))
            assert done.exit_code == 0, (line, done.output)
            commands += 1
    assert commands == 5
    assert {path.name for path in Path("runs").iterdir()} == {"script", "patterns"}


def test_the_page_names_every_placeholder_and_variable() -> None:
    source = (Path(__file__).parents[3] / "sweep" / "worker" / "command" / "surroundings.py").read_text()
    names = {f"{{{name}}}" for name in OWN} | set(re.findall(r'"(SWEEP_\w+)"', source))
    assert sorted(name for name in names if name not in PAGE) == []
