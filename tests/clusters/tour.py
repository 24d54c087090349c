"""A tour to watch: `python -m tests.clusters.tour`, as root on Linux; it takes some two minutes.

Three machines are made of network namespaces, each with a real sshd. On them, as a person types it: doctor,
up, status, a study with `cluster: lab.yaml` under which one machine is switched off and on, status, down.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from tests.clusters.lab import ROOT, Lab, reason_against
from tests.clusters.studylab import StudyLab

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
EXPECTED = [0, 0, 0, 1, 0, 0, 0, 0, 0]
"""How the commands end: one is not up while a machine is off."""


def say(text: str) -> None:
    print(f"\n\x1b[1m{text}\x1b[0m", flush=True)


class Tour:
    """What is typed on the laptop and on the head, and what comes of it."""

    def __init__(self, lab: Lab, cluster: StudyLab) -> None:
        self.lab, self.head = lab, cluster
        self.codes: list[int] = []
        self.run_dir = cluster.write("tour", ("trials: 9", "trials: 36"))

    def cluster(self, verb: str) -> None:
        """A verb of `cluster`, as the laptop types it."""
        say(f"laptop$ python -m sweep cluster {verb} lab.yaml")
        command = [sys.executable, "-m", "sweep", "cluster", verb, str(self.lab.inventory)]
        began = time.monotonic()
        done = subprocess.run(self.lab.outside(*command), env=ENVIRONMENT, check=False)
        print(f"({time.monotonic() - began:.1f} s, exit code {done.returncode})", flush=True)
        self.codes.append(done.returncode)

    def disturb_a_study(self) -> None:
        """A study on the head; a machine goes and comes back while it runs."""
        say("a$ cat tour.yaml")
        print((self.head.folder / "tour.yaml").read_text())
        say("a$ python -m sweep run tour.yaml &")
        study = subprocess.Popen(
            self.head.command("run", "tour.yaml"),
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = threading.Thread(target=repeat, args=(study,))
        said.start()
        try:
            self.wait_for(study, lambda log: all(f'"host":"{name}"' in reports(log) for name in "abc"))
            say("c is switched off")
            self.lab.kill("c")
            self.cluster("status")
            say("c is switched on again")
            self.lab.boot("c")
            self.cluster("up")
            self.wait_for(study, lambda log: '"host":"c"' in reports(log.rpartition('"slot":"c-0.2"')[2]))
            self.cluster("status")
            self.codes.append(study.wait(timeout=200))
        finally:
            study.kill()
            study.wait()
            said.join()

    def wait_for(self, study: subprocess.Popen[str], is_so: Callable[[str], bool]) -> None:
        """Until the study's log says so, or the study has ended."""
        log = self.run_dir / "log.jsonl"
        while study.poll() is None and not (log.exists() and is_so(log.read_text())):
            time.sleep(0.2)


def reports(log: str) -> str:
    return "".join(line for line in log.splitlines() if line.startswith('{"event":"report"'))


def repeat(study: subprocess.Popen[str]) -> None:
    """What the study says, told apart from what the laptop is told."""
    assert study.stdout is not None
    for line in study.stdout:
        print(f"  a| {line.rstrip()}", flush=True)


def main() -> int:
    """Walk through; exit code 1 where something did not end as it should."""
    reason = reason_against()
    if reason is not None:
        print(f"not to be had here: {reason}", file=sys.stderr)
        return 2
    with Lab(("a", "b", "c")) as lab, StudyLab(lab) as cluster:
        lab.write_inventory((sys.executable, "~/python"))
        (cluster.folder / "lab.yaml").write_text(lab.inventory.read_text())
        tour = Tour(lab, cluster)
        say("laptop$ cat lab.yaml")
        print(lab.inventory.read_text())
        for verb in ("doctor", "up", "status"):
            tour.cluster(verb)
        tour.disturb_a_study()
        for verb in ("status", "down"):
            tour.cluster(verb)
    if tour.codes != EXPECTED:
        print(f"\nnot as it should be: exit codes {tour.codes}, not {EXPECTED}")
        return 1
    print("\nall ended as it should")
    return 0


if __name__ == "__main__":
    sys.exit(main())
