"""Kills at random moments while a study runs again and again, and what must then be as if there were none."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import analysis
from analysis import Run
from tests.sweep.conftest import Folder
from tests.sweep.test_ray import actors, children, records, title

STUDY_CHANGES = (
    ("epochs: 3", "epochs: 4"),
    ("slow: 0.0", "slow: 0.02"),
    ("sampler: {name: random}", "sampler: {name: random}\ncheckpoints: {every: 0.05s}"),
)

KINDS = {"worker": 70, "driver": 18, "raylet": 8, "gcs_server": 4}
"""What is killed, and how often of a hundred times."""


@dataclass
class Tally:
    """What chaos did, and what of it can be seen in the end, which must be nothing."""

    kills: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    duplicated: int = 0
    differing: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.differing)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        return (
            f"kills: {self.kills.total()} ({kinds}); lost: {self.lost}, duplicated: {self.duplicated}, "
            f"differing: {self.differing}"
        )


class Study:
    """The same study in folders of its own, run by `tests.chaos.session` or by the command itself."""

    def __init__(self, path: Path, *, trials: int, executor: str) -> None:
        path.mkdir(parents=True)
        self.folder = Folder(path)
        self.trials = trials
        self.executor = executor
        self.folder.write(
            *STUDY_CHANGES,
            ("trials: 4", f"trials: {trials}"),
            ("executor: inline", f"executor: {executor}"),
        )

    def start(self, description: Path) -> subprocess.Popen[bytes]:
        """One session, in a process group of its own."""
        command = [sys.executable, "-m", "tests.chaos.session", "study.yaml", "runs", str(description)]
        said = (self.folder.path / "said.txt").open("ab")
        with said:
            return subprocess.Popen(
                command,
                cwd=self.folder.path,
                env=self.folder.environment(),
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def log_bytes(self) -> int:
        log = self.folder.run_dir / "log.jsonl"
        return log.stat().st_size if log.exists() else 0

    def finish(self, description: Path) -> None:
        """Run to the end."""
        code = self.start(description).wait(timeout=900)
        assert code == 0, (self.folder.path / "said.txt").read_text()[-3000:]


def kill_drivers(study: Study, description: Path, chance: random.Random, kills: int, tally: Tally) -> None:
    """Kill the driver at random moments after it begins to write; a session that ends first kills nothing."""
    for _ in range(kills):
        before = study.log_bytes()
        process = study.start(description)
        grown = chance.choice((1, 1, 400, 2000))
        while process.poll() is None and study.log_bytes() < before + grown:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.1)
        if process.poll() is None:
            process.kill()
            tally.kills["driver"] += 1
        process.wait()


def kill_all_sorts(study: Study, description: Path, chance: random.Random, kills: int, tally: Tally) -> None:
    """Kill workers, and now and then the driver or Ray's own processes, until a study on Ray has ended."""
    while tally.kills.total() < kills:
        process = study.start(description)
        end = _disturb(study, process, chance, kills, tally)
        if end == "finished":
            return


def _disturb(
    study: Study, process: subprocess.Popen[bytes], chance: random.Random, kills: int, tally: Tally
) -> str:
    """Kill when something was recorded since the last kill, a few times whether or not."""
    before = study.log_bytes()
    while process.poll() is None:
        time.sleep(chance.uniform(0.1, 1.0))
        workers = actors(process.pid)
        idle = study.log_bytes() < before + 300 and chance.random() > 0.03
        if tally.kills.total() >= kills or not workers or idle:
            continue
        before = study.log_bytes()
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        tally.kills[kind] += 1
        if kind == "driver":
            descendants = children(process.pid)
            _kill([process.pid])
            process.wait()
            _wait_until_gone(descendants)
            return "killed"
        victims = workers if kind == "worker" else _rays(process.pid, kind)
        _kill([chance.choice(victims)] if victims else [])
    return "finished" if process.returncode == 0 else "killed"


def _rays(pid: int, program: str) -> list[int]:
    """Ray's own processes of that name below a driver."""
    return [process for process in children(pid) if f"/{program}" in title(process).split("\0")[0]]


def _kill(processes: Iterable[int]) -> None:
    for pid in processes:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _wait_until_gone(processes: list[int], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while any(Path(f"/proc/{pid}").exists() for pid in processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    _kill(processes)


def describe(study: Study) -> Path:
    """What the task says of itself, kept so that sessions need not ask again; gives the file's path."""
    from sweep.session import describe_task
    from sweep.spec import load

    path = study.folder.path / "description.json"
    path.write_text(json.dumps(asdict(describe_task(load(study.folder.study)))))
    return path


def compare(disturbed: Study, undisturbed: Study, tally: Tally) -> None:
    """Enter what is lost, double or different; tables bit for bit."""
    here, there = analysis.load(disturbed.folder.run_dir), analysis.load(undisturbed.folder.run_dir)
    mine = {row.number: row for row in here.trials.itertuples()}
    theirs = {row.number: row for row in there.trials.itertuples()}
    tally.lost += len(theirs.keys() - mine.keys())
    both = mine.keys() & theirs.keys()
    tally.differing += sum(not _same_trial(mine[number], theirs[number]) for number in both)
    rows = [_metric_rows(run) for run in (here, there)]
    tally.lost += len(rows[1].keys() - rows[0].keys())
    tally.differing += sum(rows[0][key] != rows[1][key] for key in rows[0].keys() & rows[1].keys())
    tally.duplicated += _doubles(disturbed)
    states = Counter(trial.state.name for trial in _optuna(disturbed))
    tally.lost += disturbed.trials - states["COMPLETE"]


def _same_trial(one: object, other: object) -> bool:
    names = ("state", "value", "params_learning_rate", "params_accumulation_steps")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _metric_rows(run: Run) -> dict[tuple[int, int, int], tuple[float, float]]:
    rows = run.metrics
    keys = zip(rows.trial, rows.replicate, rows.examples, strict=True)
    return dict(zip(keys, zip(rows.train_loss, rows.validation_loss, strict=True), strict=True))


def _doubles(study: Study) -> int:
    """Trials asked or told more than once, reports recorded more than once."""
    run_dir = study.folder.run_dir
    counts = Counter(
        (kind, record["trial"], record.get("replicate"), record.get("examples"))
        for kind in ("asked", "report", "told")
        for record in records(run_dir, kind)
    )
    return sum(count - 1 for count in counts.values())


def _optuna(study: Study) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(study.folder.run_dir / "optuna.journal")))
    return optuna.load_study(study_name="line", storage=storage).trials
