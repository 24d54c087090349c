"""Studies over machines made of network namespaces: machines switched off, cables pulled, processes killed.

The cluster is held from a laptop beside them. What a person would type is typed again where a command says
so: `run` where a driver was killed, `up` and `run` where the cluster's head was lost.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.harness import Watch
from tests.chaos.tally import Tally
from tests.clusters.lab import ROOT
from tests.clusters.studylab import StudyLab

KINDS = {
    "worker": 45,
    "driver": 18,
    "node": 14,
    "cut": 10,
    "raylet": 5,
    "head": 4,
    "gcs_server": 2,
    "supervisor": 2,
}
"""What is killed, and how often of a hundred times. `head` is its whole machine, `cut` a cable pulled."""

PROCESSES = {
    "driver": r" -m sweep run ",
    "worker": r"ray::(Actor|chaos-\d+/)",
    "raylet": r"/raylet/raylet ",
    "gcs_server": r"/gcs/gcs_server ",
}
AWAY_S = (1.0, 40.0)
"""How long a machine is off or cut: it is given up after 15 s, so some are back before they were missed."""

HOPELESS = 8
"""So often in a row `up` and `run` may be typed with nothing recorded in between."""


class MachineChaos:
    """Kills of what a cluster consists of, until `kills`, dealt before, are used up."""

    def __init__(self, cluster: StudyLab, kills: list[str], chance: random.Random, tally: Tally) -> None:
        self.kills = kills
        self._cluster = cluster
        self._lab = cluster.lab
        self._chance = chance
        self._tally = tally
        self._away: dict[str, tuple[float, Callable[[str], None]]] = {}

    def run(self, name: str, *, trials: int, lanes: int) -> Path:
        """A study to its end, session after session; its run directory."""
        run_dir = self._cluster.write(
            name, ("trials: 9", f"trials: {trials}"), ("lanes: 1", f"lanes: {lanes}")
        )
        said = self._cluster.folder / f"{name}.txt"
        watch, in_vain = Watch(run_dir, said), 0
        while True:
            before = watch.log_bytes()
            with said.open("ab") as output:
                driver = self._cluster.begin("run", f"{name}.yaml", "--no-report", "--quiet", output=output)
            code = self._session(driver, watch)
            assert "Traceback" not in watch.said(), watch.said()
            if code == 0:
                return run_dir
            assert code in (2, -signal.SIGKILL, 128 + signal.SIGKILL), f"{code}; {watch.said()}"
            in_vain = in_vain + 1 if watch.log_bytes() == before else 0
            assert in_vain < HOPELESS, watch.said()
            self._type_up_where_needed(code, said)

    def _session(self, driver: subprocess.Popen[str], watch: Watch) -> int:
        """Kill when something was recorded since the last kill, a few times whether or not."""
        watch.killed()
        while driver.poll() is None:
            time.sleep(self._chance.uniform(0.1, 2.0))
            self._bring_back()
            idle = not watch.has_gone_on() and self._chance.random() > 0.03
            if self.kills and not idle and self._kill(self.kills[-1]):
                self._tally.kills[self.kills.pop()] += 1
                watch.killed()
        return driver.wait()

    def _kill(self, kind: str) -> bool:
        """Whether there was something to kill."""
        lab, head = self._lab, self._cluster.head
        there = [name for name in lab.names if name not in self._away]
        nodes = [name for name in there if name != head]
        match kind:
            case "node" if nodes:
                self._take_away(self._chance.choice(nodes), lab.kill, lab.boot)
                return True
            case "cut" if there:
                self._take_away(self._chance.choice(there), lab.cut, lab.plug)
                return True
            case "head" if head in there:
                self._take_away(head, lab.kill, lab.boot)
                return True
            case "supervisor":
                os.kill(lab.supervisor(), signal.SIGKILL)
                return True
            case "worker" if there:
                return self._kill_process(self._chance.choice(there), kind)
            case "raylet" if nodes:
                return self._kill_process(self._chance.choice(nodes), kind)
            case "driver" | "gcs_server":
                return self._kill_process(head, kind)
        return False

    def _kill_process(self, name: str, kind: str) -> bool:
        found = [line.split()[0] for line in self._lab.processes(name) if re.search(PROCESSES[kind], line)]
        if not found:
            return False
        kill = self._lab.inside(name, "/bin/sh", "-c", f"kill -9 {self._chance.choice(found)}")
        return subprocess.run(kill, capture_output=True, check=False).returncode == 0

    def _take_away(self, name: str, go: Callable[[str], None], come: Callable[[str], None]) -> None:
        go(name)
        self._away[name] = (time.monotonic() + self._chance.uniform(*AWAY_S), come)

    def _bring_back(self, *names: str) -> None:
        """Those whose time has come, and these."""
        for name, (until, come) in list(self._away.items()):
            if name in names or time.monotonic() >= until:
                come(name)
                del self._away[name]

    def _type_up_where_needed(self, code: int, said: Path) -> None:
        """Where the driver ended by itself it said why and what to type; where its machine was lost, too."""
        head_was_lost = self._cluster.head in self._away
        if code == 2:
            print(f"  {said.stem}: {said.read_text().splitlines()[-1]}", flush=True)
        self._bring_back(self._cluster.head)
        if code == 2 or head_was_lost:
            self._lab.cluster("up")


def undisturbed(cluster: StudyLab, *, trials: int) -> Path:
    """The same study on this machine alone, without pauses; its run directory."""
    name = "undisturbed"
    run_dir = cluster.write(name, ("trials: 9", f"trials: {trials}"), ("lab.yaml", "local\nexecutor: inline"))
    done = subprocess.run(
        [sys.executable, "-m", "sweep", "run", f"{name}.yaml", "--quiet"],
        cwd=cluster.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MLX_DISABLE_COMPILE": "1", "PAUSE_S": "0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return run_dir
