"""Studies on this machine, of which at random moments driver, workers and Ray are killed, again and again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import psutil

from tests.chaos.people import People
from tests.chaos.tally import Tally
from tests.processes import actors, children, title
from tests.sweep.conftest import GATED, Folder

STUDY_CHANGES = (
    GATED,
    ("epochs: 3", "epochs: 4"),
    ("slow: 0.0", "slow: 0.02"),
    ("sampler: {name: random}", "sampler: {name: random}\ncheckpoints: {every: 0.05s}"),
)

FUNCTION_CHANGES = (
    (GATED[1], "train.py:train"),
    ("trial: {micro_batch_size: 16, length: {epochs: 4}}\n", ""),
    ("fixed: {optimizer: sgd, slow: 0.02}\n", ""),
)
"""Made after the others, where the task is a function."""

KINDS = {"worker": 70, "driver": 18, "raylet": 8, "gcs_server": 4}
"""What is killed, and how often of a hundred times."""

STILL_S = 300.0
"""How long nothing may be recorded."""


def deck(kinds: Mapping[str, int], count: int, chance: random.Random) -> list[str]:
    """So many kills in a random order, each kind as often as its share, the seldom ones at least once."""
    kills = [kind for kind, share in kinds.items() for _ in range(max(1, round(count * share / 100)))]
    most = max(kinds, key=lambda kind: kinds[kind])
    kills += [most] * (count - len(kills))
    chance.shuffle(kills)
    return kills[:count]


class Watch:
    """The log of a study, and what its sessions said, for where it stands still."""

    def __init__(self, run_dir: Path, said: Path) -> None:
        self._log = run_dir / "log.jsonl"
        self._said = said
        self._seen = self._killed_at = self.log_bytes()
        self._grew = time.monotonic()

    def log_bytes(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def killed(self) -> None:
        """From here on it is counted whether something was recorded since the last kill."""
        self._killed_at = self.log_bytes()

    def has_gone_on(self) -> bool:
        """Whether it has, by more than a line. Raises AssertionError where it has not for STILL_S."""
        now, seen = time.monotonic(), self.log_bytes()
        if seen > self._seen:
            self._seen, self._grew = seen, now
        assert now - self._grew < STILL_S, f"nothing recorded for {STILL_S:.0f} s; {self.said()}"
        return seen >= self._killed_at + 300

    def said(self) -> str:
        return f"{self._said}: {self._said.read_text()[-3000:]}"


FUNCTION = """\
import time
from pathlib import Path

from tests import gate


def train(trial):
    x, step = 2.0, 0
    if trial.checkpoint is not None:
        x, step = trial.checkpoint["x"], trial.checkpoint["step"]
    while step < 8:
        step += 1
        x -= 10 * trial.params["learning_rate"] * x / trial.params["accumulation_steps"]
        trial.save(x=x, step=step)
        time.sleep(0.002)
        gate.wait(Path(__file__).parent)
        yield {"examples": 16 * step, "validation_loss": x * x, "train_loss": x}
"""
"""A function as the task: it saves each step, and where it resumes it continues."""


class Study:
    """The same study in folders of its own, run by `tests.chaos.session` or by the command itself."""

    def __init__(
        self,
        path: Path,
        *,
        trials: int,
        executor: str,
        lanes: int | str = 1,
        function: bool = False,
        changes: Sequence[tuple[str, str]] = (),
        slots: int | None = None,
    ) -> None:
        """`slots`: so many workers, whatever cores there are."""
        path.mkdir(parents=True)
        self.folder = Folder(path)
        self.trials = trials
        self.executor = executor
        self.slots = slots
        self.said = path / "said.txt"
        self.folder.write(
            *STUDY_CHANGES,
            ("trials: 4", f"trials: {trials}"),
            ("lanes: 1", f"lanes: {lanes}"),
            ("executor: inline", f"executor: {executor}"),
            *(FUNCTION_CHANGES if function else ()),
            *changes,
        )
        if function:
            (path / "train.py").write_text(FUNCTION)

    @property
    def run_dir(self) -> Path:
        return self.folder.run_dir

    def start(self, description: Path) -> subprocess.Popen[bytes]:
        """One session, in a process group of its own."""
        command = [sys.executable, "-m", "tests.chaos.session", "study.yaml", "runs", str(description)]
        command += [] if self.slots is None else [str(self.slots)]
        with self.said.open("ab") as said:
            return subprocess.Popen(
                command,
                cwd=self.folder.path,
                env=self.folder.environment(),
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def finish(self, description: Path) -> None:
        """Run to the end."""
        code = self.start(description).wait(timeout=900)
        assert code == 0, self.said.read_text()[-3000:]


def kill_drivers(
    study: Study,
    description: Path,
    chance: random.Random,
    kills: int,
    tally: Tally,
    *,
    reports: int,
    ask: Callable[[], None] = lambda: None,
) -> None:
    """Kill the driver at random moments after it begins to write, and before it makes so many reports more.

    Just before, something may be asked of the study by hand.
    """
    watch = Watch(study.run_dir, study.said)
    for _ in range(kills):
        before = watch.log_bytes()
        study.folder.gate.shut(after=reports)
        process = study.start(description)
        grown = chance.choice((1, 1, 400, 2000))
        while watch.log_bytes() < before + grown and not study.folder.gate.held():
            assert process.poll() is None, watch.said()
            time.sleep(0.002)
        ask()
        time.sleep(chance.random() * 0.1)
        process.kill()
        assert process.wait() == -signal.SIGKILL, watch.said()
        tally.kills["driver"] += 1
    study.folder.gate.open()


class OwnRayChaos:
    """Kills of what a study on Ray of its own consists of, until `kills`, dealt before, are used up."""

    def __init__(self, kills: list[str], chance: random.Random, tally: Tally) -> None:
        self.kills = kills
        self._chance = chance
        self._tally = tally
        self._orphans: dict[int, float | None] = {}

    def run(self, study: Study, description: Path, people: People | None = None) -> None:
        """Session after session, until one comes to the study's end; people ask of it meanwhile."""
        watch = Watch(study.run_dir, study.said)
        while True:
            code = self._session(study.start(description), watch, people)
            assert code in (0, 2, -signal.SIGKILL), f"a session ended with {code}; {watch.said()}"
            if code == 0 and (people is None or people.is_over()):
                break
        assert "Traceback" not in watch.said(), watch.said()
        self._end_orphans()

    def _session(self, process: subprocess.Popen[bytes], watch: Watch, people: People | None) -> int:
        """Kill when something was recorded since the last kill, a few times whether or not."""
        watch.killed()
        while process.poll() is None:
            time.sleep(self._chance.uniform(0.1, 1.0))
            if people is not None and self._chance.random() < 0.5:
                people.ask()
            idle = not watch.has_gone_on() and self._chance.random() > 0.03
            if not self.kills or idle or not (workers := actors(process.pid)):
                continue
            kind = self.kills[-1]
            if kind == "driver":
                self._end_orphans()
                self._orphans = {pid: _born(pid) for pid in children(process.pid)}
                victims = [process.pid]
            else:
                victims = workers if kind == "worker" else _rays(process.pid, kind)
            if victims and _kill([self._chance.choice(victims)]):
                self._tally.kills[self.kills.pop()] += 1
                watch.killed()
        return process.wait()

    def _end_orphans(self) -> None:
        """What a killed driver left ends by itself within a minute; the next session does not wait for it."""
        _kill(pid for pid, born in self._orphans.items() if born and _born(pid) == born)
        self._orphans = {}


def _rays(pid: int, program: str) -> list[int]:
    """Ray's own processes of that name below a driver."""
    return [process for process in children(pid) if f"/{program}" in title(process).split("\0")[0]]


def _born(pid: int) -> float | None:
    """When a process was started, which tells it from a later one of the same id; None once it is gone."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def _kill(processes: Iterable[int]) -> int:
    """How many of them there still were."""
    killed = 0
    for pid in processes:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        killed += 1
    return killed


def describe(study: Study) -> Path:
    """What the task says of itself, kept so that sessions need not ask again; gives the file's path."""
    from sweep.driver.build import describe_task
    from sweep.spec.parse import load

    path = study.folder.path / "description.json"
    path.write_text(json.dumps(asdict(describe_task(load(study.folder.study)))))
    return path
