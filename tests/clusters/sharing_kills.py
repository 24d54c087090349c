"""Kills while three studies share machines: `python -m tests.clusters.sharing_kills`, as root on Linux.

Brokers are killed 20 times, drivers 20 times and machines 10 times, in any order; `--kills 5` kills five
times in all. Machines are made of network namespaces, four slots in all. It takes ten minutes. At the end
every study has told each trial once, recorded each report once, and has the table that it makes alone.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

import analysis
from sweep.api.run import run_study
from sweep.driver.monitor.progress import Quiet
from sweep.spec.parse import load
from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import StudyLab
from tests.logs import records
from tests.processes import LONG_S, title

WEIGHTS = {"anna": 1, "ben": 1, "carl": 2}
TRIALS = {"anna": 140, "ben": 140, "carl": 220}
"""Enough for the minutes that 50 kills take."""

KILLS = {"broker": 20, "driver": 20, "machine": 10}
SLOTS = 4


def say(text: str) -> None:
    print(f"\n\x1b[1m{text}\x1b[0m", flush=True)


class Killing:
    """The studies, their drivers on the head, and what was not as it should be."""

    def __init__(self, lab: Lab, cluster: StudyLab, trials: Mapping[str, int]) -> None:
        self.lab, self.head, self.trials = lab, cluster, trials
        self.drivers: dict[str, subprocess.Popen[str]] = {}
        self.wrong: list[str] = []
        self.sessions = 0
        self.runs = {name: self._write(name) for name in WEIGHTS}

    def _write(self, name: str) -> Path:
        share = f"cluster_share: {{weight: {WEIGHTS[name]}}}\ncluster: lab.yaml"
        return self.head.write(
            name, ("cluster: lab.yaml", share), ("trials: 9", f"trials: {self.trials[name]}")
        )

    def start(self, name: str) -> None:
        say(f"a$ python -m sweep run {name}.yaml &     # weight {WEIGHTS[name]}")
        log = (self.lab.path / f"{name}.out").open("ab")
        self.drivers[name] = self.head.begin("run", f"{name}.yaml", "--no-report", output=log)

    def queue(self) -> None:
        say("a$ python -m sweep queue lab.yaml")
        done = self.head.sweep("queue", "lab.yaml")
        print(f"{done.stdout}{done.stderr}".rstrip(), flush=True)
        if done.returncode:
            self.wrong.append(f"sweep queue ended with {done.returncode}")

    def slots(self, name: str) -> int:
        """How many workers a study has, by its log."""
        here: set[str] = set()
        for record in records(self.runs[name], "opened", "slot", "lost", "closed"):
            match record["event"]:
                case "slot":
                    here.add(record["slot"])
                case "lost":
                    here.discard(record["slot"])
                case _:
                    here.clear()
        return len(here)

    def wait(self, what: str, is_so: Callable[[], bool]) -> None:
        """Until it is so; what takes too long is wrong."""
        began = time.monotonic()
        while not is_so():
            if time.monotonic() - began > LONG_S:
                self.wrong.append(f"{what}: not within {LONG_S:.0f} s")
                break
            time.sleep(0.1)
        shares = ", ".join(f"{name} {self.slots(name)}" for name in self.drivers)
        print(f"{what}: after {time.monotonic() - began:.1f} s ({shares})", flush=True)

    def has(self, **slots: int) -> Callable[[], bool]:
        """Whether studies have so many workers."""
        return lambda: all(self.slots(name) == count for name, count in slots.items())

    def kill_broker(self) -> None:
        self.wait("there is a broker", lambda: bool(brokers()))
        found = brokers()
        say(f"the broker is killed (process {', '.join(map(str, found))})")
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    def kill_driver(self, name: str) -> None:
        say(f"the driver of {name} is killed")
        driver = self.drivers[name]
        for child in psutil.Process(driver.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        driver.kill()
        driver.wait()
        self.sessions = len(records(self.runs[name], "opened"))

    def resume(self, name: str) -> None:
        self.start(name)
        self.wait("it is resumed", lambda: len(records(self.runs[name], "opened")) > self.sessions)

    def alone(self, name: str) -> dict[int, float]:
        """The table that a study makes alone, in this process."""
        text = (self.head.folder / f"{name}.yaml").read_text()
        text = re.sub("cluster_share.*\n", "", text).replace("cluster: lab.yaml", "executor: inline")
        study = self.head.folder / "alone.yaml"
        study.write_text(text)
        os.environ |= {"PAUSE_S": "0", "MLX_DISABLE_COMPILE": "1"}
        with contextlib.redirect_stderr(io.StringIO()):
            run_study(load(study), runs=self.head.folder / "alone", progress=Quiet())
        return values(self.head.folder / "alone" / name)

    def finish(self) -> None:
        """All end, each with its own table."""
        for name, driver in self.drivers.items():
            code = driver.wait(timeout=4 * LONG_S)
            run = self.runs[name]
            rows = [(row["trial"], row["examples"]) for row in records(run, "report")]
            told = [record["trial"] for record in records(run, "told")]
            same = values(run) == self.alone(name)
            print(f"{name}: exit code {code}, {len(told)} trials, the table that it makes alone: {same}")
            if (
                code
                or not same
                or len(rows) != len(set(rows))
                or sorted(told) != list(range(self.trials[name]))
            ):
                self.wrong.append(f"{name} did not end as it does alone")

    def close(self) -> None:
        """End what is left of all drivers."""
        for driver in self.drivers.values():
            driver.kill()
            driver.wait()


def brokers() -> list[int]:
    return [process.pid for process in psutil.process_iter() if "BrokerActor" in title(process.pid)]


def values(run: Path) -> dict[int, float]:
    trials = analysis.load(run).trials
    return dict(zip(trials.number, trials.value, strict=True))


def kill(killing: Killing, kinds: Sequence[str], chance: random.Random) -> None:
    """Kill brokers, drivers and machines while three studies run."""
    for name in WEIGHTS:
        killing.start(name)
    killing.wait("shares are 1, 1 and 2", killing.has(anna=1, ben=1, carl=2))
    for number, kind in enumerate(kinds, 1):
        print(f"\nkill {number} of {len(kinds)}", flush=True)
        match kind:
            case "broker":
                killing.kill_broker()
            case "driver":
                name = chance.choice(list(WEIGHTS))
                killing.kill_driver(name)
                killing.resume(name)
            case "machine":
                name = chance.choice("bc")
                say(f"{name} is switched off and on")
                killing.lab.kill(name)
                time.sleep(chance.uniform(0.0, 4.0))
                killing.lab.boot(name)
                killing.lab.cluster("up")
        time.sleep(chance.uniform(0.0, 4.0))
    killing.queue()
    killing.wait("shares are 1, 1 and 2", killing.has(anna=1, ben=1, carl=2))
    killing.finish()
    killing.queue()


def main() -> int:
    """Kill; exit code 1 where a study did not end as it should."""
    parser = argparse.ArgumentParser(prog="python -m tests.clusters.sharing_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=sum(KILLS.values()), help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if (reason := reason_against()) is not None:
        print(f"cannot be shown here: {reason}", file=sys.stderr)
        return 2
    chance = random.Random(given.seed)
    kinds = [kind for kind, count in KILLS.items() for _ in range(count)]
    chance.shuffle(kinds)
    kinds = kinds[: given.kills]
    trials = {name: count * len(kinds) // 50 + 20 for name, count in TRIALS.items()}
    with Lab(("a", "b", "c")) as lab, StudyLab(lab) as cluster:
        print(cluster.up("a", "b", "c", changes=((f"{lab.ip('a')}}}", f"{lab.ip('a')}, slots: 2}}"),)))
        killing = Killing(lab, cluster, trials)
        try:
            kill(killing, kinds, chance)
        finally:
            killing.close()
    print("\n".join(f"wrong: {each}" for each in killing.wrong) or "\nall ended as it should")
    return 1 if killing.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
