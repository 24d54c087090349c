"""`python -m sweep cluster ...` as a person meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clusters.lab import ROOT


def cluster(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweep", "cluster", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_doctor_of_this_machine_alone() -> None:
    ended = cluster("doctor", "--json")
    said = json.loads(ended.stdout)
    assert ended.returncode == int(said["red"])
    statuses = {found["check"]: found["status"] for found in said["findings"]}
    assert statuses["login"] == statuses["environment"] == statuses["accelerator"] == "green"
    assert not {"links", "address", "clock"} & statuses.keys()


def test_a_wrong_inventory_ends_with_exit_code_2_and_every_problem(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text("nodes:\n  - {name: a, ip: 127.0.0.1}\n  - {nme: b}\n")
    ended = cluster("doctor", str(file))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "lab.yaml:2: nodes[0].ip" in ended.stderr
    assert "lab.yaml:3: nodes[1].nme: unknown key" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_name_that_has_no_address_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "hosts.json"
    file.write_text('[{"ssh": "me@nowhere.invalid"}]')
    ended = cluster("doctor", str(file))
    assert ended.returncode == 2
    assert ended.stderr.startswith("nowhere.invalid: looking up nowhere.invalid: ")
    assert len(ended.stderr.splitlines()) == 1


def test_the_verbs_are_listed_without_loading_what_they_need() -> None:
    code = "import sys, clusters.commands; print(sorted({'pydantic', 'ruamel', 'ray'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
