"""A tour to watch: `python -m tests.clusters.tour`, as root on Linux.

Three machines are made of network namespaces, each with a real sshd. On them, as a person types it: doctor,
up, status, a study with `cluster: lab.yaml` under which one machine is switched off and on, status, down.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

from tests.clusters.lab import ROOT, Lab, reason_against

STUDIES = ROOT / "tests" / "sweep" / "studies"
STUDY = """\
name: tour
task: pausing.py:Pausing
objective: {metric: validation_loss, direction: minimize}
cluster: lab.yaml
lanes: 1
space:
  learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}
fixed: {optimizer: sgd, slow: 0.0}
trial: {micro_batch_size: 16, length: {epochs: 6}, report_every: {epochs: 1}}
sampler: {name: random}
budget: {trials: 300}
"""

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def say(text: str) -> None:
    print(f"\n\x1b[1m{text}\x1b[0m", flush=True)


class Tour:
    """What is typed on the laptop and on the head, and what comes of it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.codes: list[int] = []
        self.study = lab.tree("a") / "study"

    def cluster(self, verb: str) -> None:
        say(f"laptop$ sweep cluster {verb} lab.yaml")
        command = [sys.executable, "-m", "sweep", "cluster", verb, str(self.lab.inventory)]
        self.run(self.lab.outside(*command))

    def run(self, command: list[str]) -> None:
        began = time.monotonic()
        done = subprocess.run(command, env=ENVIRONMENT, check=False)
        print(f"({time.monotonic() - began:.1f} s, exit code {done.returncode})")
        self.codes.append(done.returncode)

    def prepare_study(self) -> None:
        self.study.mkdir()
        for task in (STUDIES / "line.py", ROOT / "tests/clusters/studies/pausing.py"):
            shutil.copy(task, self.study)
        (self.study / "study.yaml").write_text(STUDY)
        shutil.copy(self.lab.inventory, self.study / "lab.yaml")

    def wait_for_reports(self, study: subprocess.Popen[bytes]) -> None:
        """Until the study has recorded something of every machine."""
        log = self.study / "runs" / "tour" / "log.jsonl"
        while study.poll() is None:
            text = log.read_text() if log.exists() else ""
            if all(f'"slot": "{name}-0"' in text or f'"slot":"{name}-0"' in text for name in self.lab.names):
                return
            time.sleep(0.2)

    def on_head(self, *arguments: str) -> list[str]:
        run = f'cd "{self.lab.home}/study" && exec "$0" -m sweep "$@"'
        return self.lab.inside("a", "/bin/sh", "-c", run, sys.executable, *arguments)


def main() -> int:
    """Walk through; exit code 1 where something did not end as it should."""
    reason = reason_against()
    if reason is not None:
        print(f"not to be had here: {reason}", file=sys.stderr)
        return 2
    with Lab(("a", "b", "c")) as lab:
        tour = Tour(lab)
        print(lab.inventory.read_text())
        try:
            for verb in ("doctor", "up", "status"):
                tour.cluster(verb)
            tour.prepare_study()
            say("a$ sweep run study.yaml &")
            study = subprocess.Popen(tour.on_head("run", "study.yaml"), env=ENVIRONMENT)
            try:
                tour.wait_for_reports(study)
                say("c is switched off")
                lab.kill("c")
                tour.cluster("status")
                say("c is switched on again")
                lab.boot("c")
                tour.cluster("up")
                tour.codes.append(study.wait(timeout=200))
            finally:
                study.kill()
                study.wait()
            tour.cluster("status")
        finally:
            tour.cluster("down")
    expected = [0, 0, 0, 1, 0, 0, 0, 0]
    print(f"\nas it should be: {tour.codes == expected}")
    return int(tour.codes != expected)


if __name__ == "__main__":
    sys.exit(main())
