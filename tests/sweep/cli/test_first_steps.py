"""The transcript of a new user's session: its commands exist, and the help it shows is the command's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweep.cli import app

TEXT = (Path(__file__).parents[3] / "docs" / "first-steps.md").read_text()
COMMANDS = re.findall(r"^\$ sweep (\w.*)$", TEXT, re.MULTILINE)
HELP = re.search(r"\$ sweep --help\n(.*?)\n```", TEXT, re.DOTALL)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_exists(command: str) -> None:
    verb, *rest = shlex.split(command.partition(">")[0])
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert all(option in result.stdout for option in rest if option.startswith("--"))


def test_the_help_that_is_shown_is_the_command_s() -> None:
    assert HELP is not None
    said = CliRunner().invoke(app, ["--help"], prog_name="sweep", terminal_width=78).stdout
    assert HELP[1] == said.strip(), "paste what `COLUMNS=80 python -m sweep --help` prints into the page"
