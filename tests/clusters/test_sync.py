"""What `sync` brings to nodes, and that it brings nothing twice; `uv` there is a stand-in."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.errors import ClusterError
from clusters.sync import gather
from tests.clusters.lab import Lab, reason_against

UV = f"""#!/bin/sh
echo "$@" >> "$HOME/uv.said"
for folder; do :; done
case $1 in venv) {sys.executable} -m venv --without-pip "$folder" ;; esac
"""

in_lab = pytest.mark.skipif(reason_against() is not None, reason=str(reason_against()))


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(("a", "b"), subnet="10.213.6") as machines:
        yield machines


def sync(lab: Lab) -> tuple[int, dict[str, Any]]:
    done = lab.cluster("sync", "--json")
    assert done.stdout, done.stderr
    return done.returncode, {node["node"]: node for node in json.loads(done.stdout)["nodes"]}


@in_lab
def test_only_what_differs_is_brought_and_a_named_python_is_left_alone(lab: Lab) -> None:
    code, nodes = sync(lab)
    assert (code, nodes["a"]["brought"], nodes["b"]["brought"]) == (0, ["project"], ["project"])
    project = lab.tree("b") / "s" / "project"
    assert (project / "sweep" / "cli" / "__init__.py").exists()
    assert not list(project.rglob("__pycache__"))
    (project / "stale.py").touch()
    (project / ".sha256").write_text("another")
    code, nodes = sync(lab)
    assert (code, nodes["a"]["brought"], nodes["b"]["brought"]) == (0, [], ["project"])
    assert not (project / "stale.py").exists()
    assert not (lab.tree("b") / "s" / "env").exists()


@in_lab
def test_an_environment_is_made_once_and_knows_the_project(lab: Lab) -> None:
    lab.write_inventory((f", python: {sys.executable}", ""))
    for name, text in (("a", UV), ("b", "#!/bin/sh\necho no network >&2\nexit 2\n")):
        uv = lab.tree(name) / ".local" / "bin" / "uv"
        uv.parent.mkdir(parents=True)
        uv.write_text(text)
        uv.chmod(0o755)
    code, nodes = sync(lab)
    assert code == 1
    assert nodes["a"]["brought"] == ["project", "environment"]
    assert nodes["b"]["error"].startswith("b: the environment: code 2: no network; ")
    said = (lab.tree("a") / "uv.said").read_text()
    assert f"--require-hashes --requirements {lab.home}/s/project/requirements.lock" in said
    python = f"{lab.home}/s/env/bin/python"
    where = lab.run("a", python, "-c", "import clusters; print(clusters.__file__)").strip()
    assert where == f"{lab.home}/s/project/clusters/__init__.py"
    assert sync(lab)[1]["a"]["brought"] == []
    (lab.tree("a") / "s" / "env" / "lock.sha256").write_text("older")
    assert sync(lab)[1]["a"]["brought"] == ["environment"]


def test_without_a_lock_file_only_a_named_python_will_do(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "x.py").write_text("x = 1\n")
    with pytest.raises(ClusterError, match=r"there is no requirements\.lock"):
        gather(tmp_path)
    first = gather(tmp_path, own_environment=False)
    assert gather(tmp_path, own_environment=False) == first
    (tmp_path / "sweep" / "x.py").write_text("x = 2\n")
    assert gather(tmp_path, own_environment=False).project != first.project
