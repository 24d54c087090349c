"""A study through the real driver, run directory, journal and Ray, with a worker that trains nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.toy import DESCRIPTION, METRIC, ToyWorker
from sweep.driver.driver import Driver
from sweep.driver.monitor.progress import Quiet
from sweep.driver.result import DriverResult
from sweep.executors.base import Executor, ExecutorEvent
from sweep.executors.ray.executor import RayExecutor
from sweep.executors.ray.own import OwnRayCluster
from sweep.rundir.rundir import RunDir
from sweep.search.study import Study
from sweep.spec.parse import parse
from sweep.spec.plans import longest
from sweep.spec.resolve import resolved_text
from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import SlotJoined, TaskRef, Turn, WorkerSettings

SPACE = {"learning_rate": (1e-4, 1e-1), "weight_decay": (1e-6, 1e-1)}
WORKERS = 2
SETTLE_S = 3.0
"""Ray's own processes are busy for some seconds after they say that they are there."""


@dataclass(frozen=True)
class Result:
    """What a study took: `seconds` from the moment all workers were there to the end."""

    seconds: float
    session: DriverResult


class Together:
    """An executor that reports no slot before all are there, and remembers when that was."""

    def __init__(self, executor: Executor, slots: int) -> None:
        self._executor = executor
        self._joined: list[ExecutorEvent] = []
        self.slots = slots
        self.complete_at: float | None = None

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        events = self._executor.wait(timeout_s)
        if self.complete_at is not None:
            return events
        self._joined += events
        if sum(isinstance(event, SlotJoined) for event in self._joined) < self.slots:
            return []
        time.sleep(SETTLE_S)
        self.complete_at = time.perf_counter()
        return self._joined

    def start(self) -> None:
        self._executor.start()

    def submit(self, slot: str, turn: Turn) -> None:
        self._executor.submit(slot, turn)

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        self._executor.gather(slot, snapshot)

    def discard(self, slot: str, snapshot: Snapshot) -> None:
        self._executor.discard(slot, snapshot)

    def replace(self, slot: str, reason: str) -> None:
        self._executor.replace(slot, reason)

    def cut_short(self) -> None:
        self._executor.cut_short()

    def close(self) -> None:
        self._executor.close()


FUNCTION = "toy_function.py:train"
"""The same objective as a function, trained by the real worker."""


def study_text(
    *,
    sampler: str,
    trials: int,
    reports: int,
    lanes: int = 1,
    pruner: str = "none",
    task: str = "toy.py:Toy",
) -> str:
    """The study file: every trial of `reports` reports."""
    space = "".join(
        f"  {name}: {{low: {low!r}, high: {high!r}, log: true}}\n" for name, (low, high) in SPACE.items()
    )
    return (
        f"name: overhead\ntask: {task}\nobjective: {{metric: {METRIC}, direction: minimize}}\n"
        f"space:\n{space}fixed: {{optimizer: adamw}}\n"
        f"trial: {{{'' if task == FUNCTION else 'micro_batch_size: 1, '}length: {{examples: {reports}}}, "
        "report_every: {examples: 1}}\n"
        f"sampler: {{name: {sampler}}}\npruner: {{name: {pruner}}}\nbudget: {{trials: {trials}}}\n"
        f"lanes: {lanes}\ncheckpoints: {{keep_best: 0}}\n"
    )


def run(
    folder: Path,
    *,
    sampler: str,
    trials: int,
    reports: int,
    lanes: int = 1,
    pruner: str = "none",
    make_worker: Callable[[WorkerSettings], object] = ToyWorker,
    task: str = "toy.py:Toy",
) -> Result:
    """Run such a study in `folder`; a second call there resumes it."""
    text = study_text(sampler=sampler, trials=trials, reports=reports, lanes=lanes, pruner=pruner, task=task)
    spec = parse(text, str(folder / "study.yaml"))
    settings = WorkerSettings(
        TaskRef(str(Path(__file__).parent), spec.target),
        snapshot_every_s=None,
        keep_final=False,
        objective=(METRIC, "minimize"),
        trainable=spec.trainable,
    )
    executor = Together(
        RayExecutor(settings, OwnRayCluster(WORKERS, gpus=0), make_worker=make_worker), WORKERS
    )
    with RunDir.open(folder, spec.name) as run:
        run.write_study(resolved_text(spec))
        run.record_opened(objectives=[(METRIC, "minimize")], choices={}, trials=trials)
        study = Study(spec, run.journal_path, longest(spec, DESCRIPTION))
        driver = Driver(
            spec=spec,
            description=DESCRIPTION,
            run=run,
            study=study,
            executor=executor,
            progress=Quiet(),
        )
        try:
            session = driver.run()
            ended = time.perf_counter()
        finally:
            executor.close()
            study.storage.close()
        assert executor.complete_at is not None
        run.close("finished")
    return Result(ended - executor.complete_at, session)
