"""What `sync` brings to nodes, and that it brings nothing twice.

The machines have no way to a package index: `uv` there is a stand-in, and `pip`, which is not, is given a
folder with decides the wheel.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.errors import ClusterError
from clusters.sync import LOCK, gather
from ray_contract import PACKAGES
from tests.clusters.lab import ROOT, Lab, reason_against
from tests.clusters.studylab import write_program

UV = f"""#!/bin/sh
echo "$@" >> "$HOME/uv.said"
for folder; do :; done
case $1 in venv) {sys.executable} -m venv --without-pip "$folder" ;; esac
"""

OFFLINE_UV = """#!/bin/sh
echo "error: Request failed after 3 retries in 7.5s
  cause: dns error" >&2
exit 2
"""
MINOR = platform.python_version().rpartition(".")[0]
NO_ENSUREPIP = f"""#!/bin/sh
case "$*" in *ensurepip*) echo "No module named 'ensurepip'" >&2; exit 1 ;; esac
exec {sys.executable} "$@"
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


@pytest.mark.cluster
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


@pytest.mark.cluster
@in_lab
def test_an_environment_is_made_once_and_knows_the_project(lab: Lab) -> None:
    lab.write_inventory((f", python: {sys.executable}", ""))
    for name, text in (("a", UV), ("b", OFFLINE_UV)):
        uv = lab.tree(name) / ".local" / "bin" / "uv"
        uv.parent.mkdir(parents=True)
        uv.write_text(text)
        uv.chmod(0o755)
    code, nodes = sync(lab)
    assert code == 1
    assert nodes["a"]["brought"] == ["project", "environment"]
    assert nodes["b"]["error"].startswith(
        "b: the environment: exit code 2: error: Request failed after 3 retries in 7.5s cause: dns error; "
        "it cannot reach the package index"
    )
    said = (lab.tree("a") / "uv.said").read_text()
    assert f"--require-hashes --requirements {lab.home}/s/project/requirements.lock" in said
    python = f"{lab.home}/s/env/bin/python"
    where = lab.run("a", python, "-c", "import clusters; print(clusters.__file__)").strip()
    assert where == f"{lab.home}/s/project/clusters/__init__.py"
    assert sync(lab)[1]["a"]["brought"] == []
    (lab.tree("a") / "s" / "env" / "lock.sha256").write_text("older")
    assert sync(lab)[1]["a"]["brought"] == ["environment"]


class Checkout:
    """A checkout of the project whose lock file names one small wheel, in a folder of the machines' own."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.root = lab, lab.path / "checkout"
        for package in PACKAGES:
            shutil.copytree(ROOT / package, self.root / package, ignore=shutil.ignore_patterns("__pycache__"))
        wheels = lab.path / "wheels"
        wheels.mkdir()
        self.sha256 = write_wheel(wheels / "tiny-1.0-py3-none-any.whl")
        for name in lab.names:
            config = lab.tree(name) / ".config" / "pip" / "pip.conf"
            config.parent.mkdir(parents=True)
            config.write_text(f"[global]\nno-index = true\nfind-links = {wheels}\n")
        self.lock(self.sha256)

    def lock(self, sha256: str) -> None:
        (self.root / LOCK).write_text(f"tiny==1.0 \\\n    --hash=sha256:{sha256}\n")

    def sync(self) -> dict[str, list[str] | str]:
        """What was brought to each machine, or the error."""
        command = self.lab.outside(
            sys.executable, "-m", "sweep", "cluster", "sync", str(self.lab.inventory), "--json"
        )
        environment = {**os.environ, "PYTHONPATH": str(self.root)}
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.stdout, done.stderr
        nodes = json.loads(done.stdout)["nodes"]
        assert done.returncode == int(any(node["error"] for node in nodes))
        return {node["node"]: node["error"] or node["brought"] for node in nodes}


def write_wheel(path: Path) -> str:
    """A wheel with one module, `tiny`; its hash."""
    info = "tiny-1.0.dist-info"
    files = {
        "tiny.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.cluster
@in_lab
@pytest.mark.skipif(
    shutil.which("uv", path="/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin") is not None,
    reason="uv is on the path of every machine here, and then it is used",
)
def test_without_uv_an_environment_is_made_by_venv_and_pip(lab: Lab) -> None:
    lab.write_inventory((f", python: {sys.executable}", ""))
    found = {name: lab.tree(name) / ".local" / "bin" / f"python{MINOR}" for name in lab.names}
    for name, text in (("a", f'#!/bin/sh\nexec {sys.executable} "$@"\n'), ("b", "#!/bin/sh\necho 3.1.99\n")):
        found[name].parent.parent.mkdir()
        write_program(found[name], text)
    checkout = Checkout(lab)

    said = checkout.sync()
    assert said["a"] == ["project", "environment"]
    assert said["b"] == (
        f"b: the environment: exit code 1: no uv and no Python {platform.python_version()} there "
        f"(python{MINOR} is 3.1.99); curl -LsSf https://astral.sh/uv/install.sh | sh"
    )
    python = f"{lab.home}/s/env/bin/python"
    where = lab.run("a", python, "-c", "import tiny, clusters; print(tiny.__file__, clusters.__file__)")
    tiny, clusters = where.split()
    assert tiny.startswith(f"{lab.home}/s/env/lib/")
    assert clusters == f"{lab.home}/s/project/clusters/__init__.py"

    write_program(found["b"], NO_ENSUREPIP)
    said = checkout.sync()
    assert said["a"] == []
    assert isinstance(said["b"], str)
    assert (
        f"python{MINOR} there cannot make environments; sudo apt-get install python{MINOR}-venv" in said["b"]
    )

    # An environment takes seconds to make: from here on b alone.
    inventory = lab.inventory.read_text().splitlines(keepends=True)
    lab.inventory.write_text("".join(line for line in inventory if "name: a," not in line))
    shutil.copy(found["a"], found["b"])
    checkout.lock("0" * 64)
    error = checkout.sync()["b"]
    assert isinstance(error, str)
    assert error.startswith("b: the environment: exit code 1: ERROR: THESE PACKAGES DO NOT MATCH")
    assert f"Expected sha256 {'0' * 64} Got {checkout.sha256}; its package index has another file" in error
    assert "\n" not in error

    checkout.lock(checkout.sha256)
    assert checkout.sync() == {"b": ["project", "environment"]}


def test_without_a_lock_file_only_a_named_python_will_do(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "x.py").write_text("x = 1\n")
    with pytest.raises(ClusterError, match=r"no requirements\.lock"):
        gather(tmp_path)
    first = gather(tmp_path, own_environment=False)
    assert gather(tmp_path, own_environment=False) == first
    (tmp_path / "sweep" / "x.py").write_text("x = 2\n")
    assert gather(tmp_path, own_environment=False).project != first.project
