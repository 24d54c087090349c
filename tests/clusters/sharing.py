"""Studies that share machines, to watch: `python -m tests.clusters.sharing`, as root on Linux; three minutes.

Three machines are made of network namespaces. On them, as people type it: three studies of weights 1, 1 and
2, `sweep queue`, a machine reserved by its owner, another one switched off and on, `sweep list`. At the end
each study's table is compared with the one that it makes alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import analysis
from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import StudyLab
from tests.clusters.tour import ENVIRONMENT, say
from tests.logs import records

WEIGHTS = {"one": 1, "two": 1, "three": 2}
TRIALS = 36
WAIT_S = 120.0


class Sharing:
    """What is typed on the head and on a laptop; `wrong` is what did not come about."""

    def __init__(self, lab: Lab, cluster: StudyLab) -> None:
        self.lab, self.head = lab, cluster
        self.wrong: list[str] = []
        self.runs = {name: self._write(name, weight) for name, weight in WEIGHTS.items()}
        self.studies: dict[str, subprocess.Popen[str]] = {}

    def _write(self, name: str, weight: int) -> Path:
        share = f"cluster: lab.yaml\ncluster_share: {{weight: {weight}, give_up_within: 5s}}"
        seed = f"seed: {list(WEIGHTS).index(name)}"
        changes = (("cluster: lab.yaml", share), ("trials: 9", f"trials: {TRIALS}"), ("seed: 3", seed))
        return self.head.write(name, *changes)

    def begin(self) -> None:
        """All three studies, each a command of its own."""
        for name in WEIGHTS:
            say(f"a$ python -m sweep run {name}.yaml &    # weight {WEIGHTS[name]}")
            self.studies[name] = self.head.begin("run", f"{name}.yaml", "--no-report", "--quiet")

    def type(self, *arguments: str) -> None:
        """A command on the head, and what it prints."""
        say(f"a$ python -m sweep {' '.join(arguments)}")
        done = self.head.sweep(*arguments)
        print(done.stdout + done.stderr, flush=True)
        if done.returncode:
            self.wrong.append(f"{' '.join(arguments)}: exit code {done.returncode}")

    def cluster(self, verb: str, *arguments: str) -> None:
        """A verb of `cluster`, as the laptop types it."""
        say(f"laptop$ python -m sweep cluster {verb} lab.yaml {' '.join(arguments)}")
        done = self.lab.cluster(verb, *arguments)
        print(done.stdout + done.stderr, flush=True)
        if done.returncode:
            self.wrong.append(f"cluster {verb}: exit code {done.returncode}")

    def workers(self, machine: str) -> list[str]:
        """The studies' workers on a machine, as `ps` shows them."""
        names = "|".join(WEIGHTS)
        lines = self.lab.processes(machine)
        return [line for line in lines if re.search(rf"({names})/{machine}/{machine}-", line)]

    def wait_for(self, what: str, is_so: Callable[[], object]) -> None:
        """Say what is waited for, and how long it took."""
        began = time.monotonic()
        while not is_so():
            if time.monotonic() - began > WAIT_S or all(
                each.poll() is not None for each in self.studies.values()
            ):
                self.wrong.append(f"did not come about: {what}")
                return
            time.sleep(0.2)
        print(f"({what}: after {time.monotonic() - began:.1f} s)", flush=True)

    def hosts(self, name: str) -> set[str]:
        return {record["host"] for record in records(self.runs[name], "report")}

    def ended(self) -> None:
        """Wait for the studies, and compare each table with the one that the study makes alone."""
        for name, study in self.studies.items():
            out, _ = study.communicate(timeout=400)
            if study.returncode:
                self.wrong.append(f"{name} ended with {study.returncode}: {out}")
        self.type("list", "runs")
        for name, run_dir in self.runs.items():
            alone = self._alone(name)
            found = analysis.load(run_dir)
            same = list(found.trials.value) == list(alone.trials.value)
            twice = found.metrics.duplicated(["trial", "replicate", "examples"]).any()
            print(f"{name}: the table is {'' if same else 'NOT '}the one that it makes alone", flush=True)
            if not same or twice:
                self.wrong.append(f"{name}: another table than alone")

    def _alone(self, name: str) -> analysis.Run:
        text = (self.head.folder / f"{name}.yaml").read_text()
        text = re.sub(r"cluster: lab.yaml\ncluster_share: .*\n", "executor: inline\n", text)
        (self.head.folder / "alone.yaml").write_text(text)
        command = [sys.executable, "-m", "sweep", "run", "alone.yaml", "--quiet", "--no-report"]
        environment = {**ENVIRONMENT, "PAUSE_S": "0", "MLX_DISABLE_COMPILE": "1"}
        done = subprocess.run(
            [*command, "--runs", "alone"],
            cwd=self.head.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            self.wrong.append(f"{name} alone: {done.stderr}")
        return analysis.load(self.head.folder / "alone" / name)


def walk(sharing: Sharing) -> None:
    """The whole of it."""
    lab = sharing.lab
    sharing.begin()
    sharing.wait_for("each study trains", lambda: all(sharing.hosts(name) for name in WEIGHTS))
    sharing.wait_for(
        "all four slots are used", lambda: sum(len(sharing.workers(each)) for each in "abc") == 4
    )
    sharing.type("queue", "lab.yaml")
    sharing.cluster("reserve", "b", "--for", "10m")
    sharing.wait_for("b is its owner's", lambda: not sharing.workers("b"))
    sharing.cluster("reserve")
    sharing.type("queue", "lab.yaml")
    say("c is switched off")
    lab.kill("c")
    sharing.wait_for(
        "its loss is seen",
        lambda: any(
            r["slot"].startswith("c-") and r["reason"] != "given back"
            for run in sharing.runs.values()
            for r in records(run, "lost")
        ),
    )
    sharing.type("queue", "lab.yaml")
    say("c is switched on again")
    lab.boot("c")
    sharing.cluster("up")
    sharing.cluster("reserve", "b", "--release")
    sharing.wait_for("b and c train again", lambda: sharing.workers("b") and sharing.workers("c"))
    sharing.type("queue", "lab.yaml")
    sharing.ended()


def main() -> int:
    """Walk through; exit code 1 where something did not end as it should."""
    reason = reason_against()
    if reason is not None:
        print(f"cannot be shown here: {reason}", file=sys.stderr)
        return 2
    with Lab(("a", "b", "c"), subnet="10.213.19") as lab, StudyLab(lab) as cluster:
        cluster.up("a", "b", "c", changes=((f"ip: {lab.ip('c')}", f"ip: {lab.ip('c')}, slots: 2"),))
        sharing = Sharing(lab, cluster)
        try:
            walk(sharing)
        finally:
            for study in sharing.studies.values():
                study.kill()
                study.wait()
    print(
        "\nall ended as it should" if not sharing.wrong else "\nnot as it should be:",
        *sharing.wrong,
        sep="\n",
    )
    return 1 if sharing.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
