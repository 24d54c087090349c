"""The lock file: complete, hashed, and silent about where its packages come from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements() -> list[str]:
    """The lock's entries, each with its hashes on one line."""
    return LOCK.replace("\\\n", " ").splitlines()


def test_the_lock_names_no_index_and_no_address() -> None:
    assert "://" not in LOCK
    assert [line for line in requirements() if re.match(r"\s*(#|-|$)", line)] == []


def test_every_entry_of_the_lock_is_pinned_and_hashed() -> None:
    entry = re.compile(r"[a-z0-9-]+==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert [line for line in requirements() if not entry.fullmatch(line)] == []


def test_the_lock_holds_every_dependency() -> None:
    extras = PROJECT["optional-dependencies"]
    wanted = {
        re.split(r"[\[<>=;~! ]", text, maxsplit=1)[0].replace(".", "-")
        for text in [*PROJECT["dependencies"], *extras["dev"], *extras["examples"]]
    } - {PROJECT["name"]}
    assert wanted - {line.split("==")[0] for line in requirements()} == set()


def test_mlx_is_locked_for_macs_and_for_linux() -> None:
    places = {line.split("==")[0]: line.split("--hash")[0] for line in requirements()}
    assert "darwin" in places["mlx-metal"]
    assert "linux" in places["mlx-cpu"]
