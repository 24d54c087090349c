"""Ray on the machines of a lab, and a study that its driver runs on the first of them.

with Lab(("a", "b", "c")) as lab, RayLab(lab) as rays:
    rays.start("a", "b", "c")          # each as `cluster up` starts it: token, labels, slots
    rays.sweep("run", "study.yaml")    # on `a`, in the folder of the study
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from clusters import places
from clusters.addresses import with_addresses
from clusters.inventory import load
from clusters.remote import end_group
from tests.clusters.lab import ROOT, Lab, tool

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


class RayLab:
    """Ray's nodes, one a machine, each held by a process of ours; the first one is the head."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.head = lab.names[0]
        self._held: dict[str, subprocess.Popen[bytes]] = {}
        self._locks: dict[str, subprocess.Popen[bytes]] = {}
        self.folder = lab.tree(self.head) / "study"

    def __enter__(self) -> RayLab:
        self.inventory = with_addresses(load(self.lab.inventory))
        own = places.own(self.inventory).removeprefix("~/")
        for name in self.lab.names:
            folder = self.lab.tree(name) / own
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "token").write_text("6" * 64)
            program = self.lab.tree(name) / "bin" / "caffeinate"
            program.parent.mkdir()
            program.write_text('#!/bin/sh\necho "$@" >> "$HOME/awake"\nexec tail --pid="$3" -f /dev/null\n')
            program.chmod(0o755)
        self.folder.mkdir()
        for task in TASKS:
            shutil.copy(task, self.folder)
        (self.folder / "lab.yaml").write_text(self.lab.inventory.read_text())
        return self

    def write(self, name: str, *changes: tuple[str, str]) -> Path:
        """A study file, parts of its text replaced; the run directory that it will have."""
        text = STUDY
        for old, new in (("name: line", f"name: {name}"), *changes):
            assert old in text, old
            text = text.replace(old, new)
        (self.folder / f"{name}.yaml").write_text(text)
        return self.folder / "runs" / name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._held):
            self.stop(name)

    @property
    def environment(self) -> dict[str, str]:
        home = str(self.lab.home)
        own = {
            name: value.replace("~", home, 1) for name, value in places.environment(self.inventory).items()
        }
        path = f"{home}/bin:{os.environ['PATH']}"
        return {"PATH": path, "HOME": home, "MLX_DISABLE_COMPILE": "1", **own}

    def start(self, *names: str) -> None:
        """Bring up Ray on machines, and wait for the head; the others come when they come."""
        for name in names:
            self._hold(name)
        ready = f"import socket; socket.create_connection({self._address!r}, 1)"
        deadline = time.monotonic() + 60
        while subprocess.run(self.lab.outside(sys.executable, "-c", ready), capture_output=True).returncode:
            assert time.monotonic() < deadline, (self.lab.path / f"ray-{self.head}.log").read_text()
            time.sleep(0.2)

    def stop(self, name: str) -> None:
        """End a machine's Ray, all of its processes at once."""
        for process in (self._held.pop(name), self._locks.pop(name)):
            end_group(process)

    def sweep(self, *arguments: str, timeout_s: float = 170) -> subprocess.CompletedProcess[str]:
        """`python -m sweep ...` on the head, in the study's folder."""
        return subprocess.run(
            self._command(*arguments),
            env={**self.environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, without waiting for its end."""
        return subprocess.Popen(
            self._command(*arguments),
            env={**self.environment, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def _address(self) -> tuple[str, int]:
        return self.inventory.head.address, self.inventory.ports.gcs

    def _command(self, *arguments: str) -> list[str]:
        run = f'cd "{self.lab.home}/study" && exec "$0" -m sweep "$@"'
        return self.lab.inside(self.head, "/bin/sh", "-c", run, sys.executable, *arguments)

    def _hold(self, name: str) -> None:
        node = self.inventory.node(name)
        at = ["--address", self.inventory.address]
        if node.is_head:
            at = ["--head", f"--port={self.inventory.ports.gcs}", "--dashboard-host=127.0.0.1"]
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", *at, "--block",
            f"--node-ip-address={node.address}", f"--temp-dir={self.lab.home}/s/r",
            "--num-cpus=2", "--num-gpus=0", f"--object-store-memory={100 * 1024 * 1024}",
            "--node-manager-port=6380", "--object-manager-port=6381",
            "--min-worker-port=20000", "--max-worker-port=20200", "--disable-usage-stats",
            f'--resources={{"mlx_slot":{node.slots}}}', f"--labels=sweep.node={name}",
        ]  # fmt: skip
        log = (self.lab.path / f"ray-{name}.log").open("ab")
        self._held[name] = subprocess.Popen(
            self.lab.inside(name, *command),
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        lock = f"{self.lab.home}/{places.lock(self.inventory).removeprefix('~/')}"
        self._locks[name] = subprocess.Popen(
            self.lab.inside(name, tool("flock"), lock, "sleep", "9999"), start_new_session=True
        )
