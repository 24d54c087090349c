"""The new user's transcript types only commands that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweep.cli import app

TEXT = (Path(__file__).parents[3] / "docs" / "first-steps.md").read_text()
COMMANDS = re.findall(r"^\$ sweep (.*)$", TEXT, re.MULTILINE)
HELP = re.search(r"\$ sweep --help\n(.*?)\n```", TEXT, re.DOTALL)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_one_that_there_is(command: str) -> None:
    verb, *rest = shlex.split(command.partition(">")[0])
    if verb == "--help":
        return
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert all(option in result.stdout for option in rest if option.startswith("--"))


def test_the_help_that_is_shown_names_verbs_that_there_are() -> None:
    assert HELP is not None
    shown = re.findall(r"^  (\w+)  ", HELP[1].partition("Commands:")[2], re.MULTILINE)
    said = CliRunner().invoke(app, ["--help"]).stdout.partition("Commands:")[2]
    assert len(shown) > 10
    assert set(shown) <= set(re.findall(r"^  (\w+)  ", said, re.MULTILINE))
