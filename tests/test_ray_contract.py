"""What clusters and executors agree on, held against what is built and shipped."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ray_contract import PACKAGES
from sweep.executors.packaging import WORKER_PACKAGES

ROOT = Path(__file__).parents[1]


def test_the_packages_sent_to_nodes_are_those_of_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert sorted(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == list(PACKAGES)


def test_what_workers_are_sent_is_part_of_it() -> None:
    assert set(WORKER_PACKAGES) <= set(PACKAGES)
