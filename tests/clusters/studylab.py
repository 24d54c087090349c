"""A lab whose machines `sweep cluster up` has made one cluster, and studies on it.

with Lab(("a", "b", "c")) as lab, StudyLab(lab) as cluster:
    cluster.up("a", "b")                   # from a laptop on their network; again with more to add some
    cluster.write("whole")                 # a study file on the first of them
    cluster.sweep("run", "whole.yaml")     # its driver there
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

from tests.clusters.lab import ROOT, Lab

TASKS = (ROOT / "tests/sweep/studies/line.py", ROOT / "tests/clusters/studies/pausing.py")

STUDY = """\
name: line
seed: 3
task: pausing.py:Pausing
objective: {metric: validation_loss, direction: minimize}
cluster: lab.yaml
lanes: 1
space:
  learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}
  accumulation_steps: {choices: [1, 2]}
fixed: {optimizer: sgd, slow: 0.0}
trial: {micro_batch_size: 16, length: {epochs: 6}}
sampler: {name: random}
budget: {trials: 9}
checkpoints: {every: 1s}
"""

MEETING = (":Pausing", ":Meeting")
"""Changes a study so that all machines report."""

PYTHON = """\
#!/bin/sh
export MLX_DISABLE_COMPILE=1 MEET={meet} PATH="$HOME/bin:$PATH"
exec {python} "$@"
"""
CAFFEINATE = """\
#!/bin/sh
echo "$@" >> "$HOME/awake"
exec tail --pid="$3" -f /dev/null
"""


class StudyLab:
    """The first machine is the head, and where studies are started; all are ended at the end."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.head = lab.names[0]
        self.folder = lab.tree(self.head) / "study"
        self.meet = lab.path / "meet"

    def __enter__(self) -> StudyLab:
        for name in self.lab.names:
            write_program(
                self.lab.tree(name) / "python", PYTHON.format(python=sys.executable, meet=self.meet)
            )
            write_program(self.lab.tree(name) / "bin" / "caffeinate", CAFFEINATE)
        self.folder.mkdir()
        self.meet.mkdir()
        self.meet.chmod(0o777)
        for task in TASKS:
            shutil.copy(task, self.folder)
        for name in self.lab.names:
            self.lab.give(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lab.cluster("down")

    def up(self, *names: str, changes: tuple[tuple[str, str], ...] = ()) -> str:
        """Bring up the cluster of these machines, or make the one that is up theirs; what `up` said."""
        others = [name for name in self.lab.names if name not in names]
        left_out = [
            (f"  - {{name: {name}, ssh: {self.lab.user(name)}@{name}, ip: {self.lab.ip(name)}}}\n", "")
            for name in others
        ]
        self.lab.write_inventory((sys.executable, "~/python"), *left_out, *changes)
        (self.folder / "lab.yaml").write_text(self.lab.inventory.read_text())
        done = self.lab.cluster("up")
        assert done.returncode == 0, done.stdout + done.stderr
        (self.meet / "wanted").write_text(str(len(names)))
        return done.stdout

    def write(self, name: str, *changes: tuple[str, str]) -> Path:
        """A study file, parts of its text replaced; the run directory that it will have."""
        text = STUDY
        for old, new in (("name: line", f"name: {name}"), *changes):
            assert old in text, old
            text = text.replace(old, new)
        return self.write_text(name, text)

    def write_text(self, name: str, text: str) -> Path:
        """The study file of a text; the run directory that it will have."""
        (self.folder / f"{name}.yaml").write_text(text)
        for machine in self.lab.names:  # of an earlier study that met
            (self.meet / machine).unlink(missing_ok=True)
        return self.folder / "runs" / name

    def sweep(self, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """`python -m sweep ...` on the head, in the study's folder."""
        return subprocess.run(
            self.command(*arguments),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def begin(self, *arguments: str, output: IO[bytes] | int = subprocess.PIPE) -> subprocess.Popen[str]:
        """The same, without waiting for its end."""
        return subprocess.Popen(
            self.command(*arguments),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs `python -m sweep ...` there."""
        run = 'cd "$HOME/study" && exec "$HOME/python" -m sweep "$@"'
        return self.lab.inside(self.head, "/bin/sh", "-c", run, "sh", *arguments)


class Laptop:
    """A machine on the cluster's network that is no node of it, with the study in its home."""

    def __init__(self, cluster: StudyLab) -> None:
        self.cluster = cluster
        self.folder = cluster.lab.path / "laptop" / "work"
        shutil.copytree(cluster.folder, self.folder)
        shutil.copy(cluster.lab.ssh_config, self.folder)
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLX_DISABLE_COMPILE": "1"}

    def write(self, name: str, *changes: tuple[str, str]) -> Path:
        self.cluster.write(name, *changes)
        shutil.copy(self.cluster.folder / f"{name}.yaml", self.folder)
        return self.folder / "runs" / name

    def sweep(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.cluster.lab.outside(sys.executable, "-m", "sweep", *arguments),
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.cluster.lab.outside(sys.executable, "-m", "sweep", *arguments),
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
