"""A lab whose machines `sweep cluster up` has made one cluster, and studies on it.

with Lab(("a", "b", "c")) as lab, StudyLab(lab) as cluster:
    cluster.up("a", "b")                   # from a laptop on their network; again with more to add some
    cluster.write("whole")                 # a study file on the first of them
    cluster.sweep("run", "whole.yaml")     # its driver there

A test that acts on a running study holds it where it must stand (GATED, `shut`), and then lets it go on.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from tests.clusters.lab import ROOT, Lab
from tests.gate import Gate
from tests.processes import wait_for

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

GATED = (":Pausing", ":Gated")
"""Changes a study so that it waits at the gates of its machines, too."""

PYTHON = """\
#!/bin/sh
export MLX_DISABLE_COMPILE=1 MEET={meet} GATES={gates} PAUSE_S={pause_s} PATH="$HOME/bin:$PATH"
exec {python} "$@"
"""
CAFFEINATE = """\
#!/bin/sh
echo "$@" >> "$HOME/awake"
exec tail --pid="$3" -f /dev/null
"""


class StudyLab:
    """The first machine is the head, and where studies are started; all of it ends with the machines.

    A report takes `pause_s`.
    """

    def __init__(self, lab: Lab, *, pause_s: float = 0.5) -> None:
        self.lab = lab
        self.head = lab.names[0]
        self.folder = lab.tree(self.head) / "study"
        self.meet, self.gates = lab.path / "meet", lab.path / "gates"
        self._gates = {name: Gate(self.gates / name) for name in lab.names}
        self._pause_s = pause_s
        self._begun: list[subprocess.Popen[str]] = []

    def __enter__(self) -> StudyLab:
        python = PYTHON.format(python=sys.executable, meet=self.meet, gates=self.gates, pause_s=self._pause_s)
        for name in self.lab.names:
            write_program(self.lab.tree(name) / "python", python)
            write_program(self.lab.tree(name) / "bin" / "caffeinate", CAFFEINATE)
        self.folder.mkdir()
        for folder in (self.meet, *(self.gates / name for name in self.lab.names)):
            folder.mkdir(parents=True)
            folder.chmod(0o777)
        for task in TASKS:
            shutil.copy(task, self.folder)
        for name in self.lab.names:
            self.lab.give(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_what_began()

    def shut(self, *names: str, after: int) -> None:
        """Have each worker of these machines make so many reports more, and wait at its gate."""
        for name in names:
            self._gates[name].shut(after=after)

    def open(self, *names: str) -> None:
        """Let what waits on these machines go on, on all of them unless some are named."""
        for name in names or self.lab.names:
            self._gates[name].open()

    def wait_until_held(self, driver: subprocess.Popen[str], *names: str) -> None:
        """Until a worker of each of these machines waits at its gate: it is in the midst of a trial."""
        for name in names:  # of workers that were killed
            for mark in self._marks(name):
                mark.unlink(missing_ok=True)
        wait_for(lambda: all(map(self._marks, names)), driver)

    def _marks(self, name: str) -> list[Path]:
        """Of processes that wait there, as their machine numbers them."""
        return list((self.gates / name).glob("held.*"))

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
        """The same, without waiting for its end; what is left at the end of the test is killed."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return self.started(self.command(*arguments), environment, output=output)

    def started(
        self,
        command: list[str],
        environment: dict[str, str],
        *,
        output: IO[bytes] | int = subprocess.PIPE,
        cwd: Path | None = None,
    ) -> subprocess.Popen[str]:
        """A command that runs, until `end_what_began` at the latest."""
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=cwd,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._begun.append(process)
        return process

    def end_what_began(self) -> None:
        """Kill what `begin` started and a test that failed has left, and open all gates."""
        self.open()
        while self._begun:
            with self._begun.pop() as process, suppress(ProcessLookupError):
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

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
        command = self.cluster.lab.outside(sys.executable, "-m", "sweep", *arguments)
        return self.cluster.started(command, self._environment, cwd=self.folder)


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
