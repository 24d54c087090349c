"""One run of the command: open the run directory, settle whether and how to go on, drive, close.

open_run      the directory, refused where it belongs to another study
finished      whether nothing is left to do, without starting anything
run_study     all of it; gives a Summary
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import TYPE_CHECKING, Any

from runlog import layout
from runlog.ranking import best_first
from sweep import spec as specs
from sweep.awake import awake
from sweep.cluster import Cluster
from sweep.describing import describe
from sweep.description import Description
from sweep.errors import JournalError, RunDirError, SpecError
from sweep.executors.base import Executor
from sweep.planning import longest, sample_values
from sweep.progress import Progress
from sweep.rundir import RunDir
from sweep.scheduler import Phase
from sweep.schema import Choices, StudySpec
from sweep.task_loading import source_hash
from sweep.trial import Outcome, Scalar, TrialState
from sweep.turn import TaskRef, WorkerSettings

if TYPE_CHECKING:
    from sweep.driver import Driver
    from sweep.study import Study


@dataclass(frozen=True)
class Summary:
    """How a study stands when the command ends; `best` holds the best trials first, at most five."""

    study: str
    run_dir: Path
    trials: Mapping[str, int]
    best: tuple[Outcome, ...]
    params: Mapping[int, Mapping[str, Scalar]]
    objectives: tuple[str, ...]
    wall_s: float
    reason: str
    totals: Mapping[str, float | None]
    ledger: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "run_dir": str(self.run_dir),
            "reason": self.reason,
            "trials": dict(self.trials),
            "best": self._best_json(),
            "wall_s": round(self.wall_s, 3),
            **self.totals,
            "ledger": dict(self.ledger),
        }

    def _best_json(self) -> dict[str, Any] | list[dict[str, Any]] | None:
        """The best trial, or with several objectives all that no other dominates."""
        several = len(self.objectives) > 1
        rows = [
            {
                "number": outcome.number,
                **({"values": outcome.values} if several else {"value": (outcome.values or (None,))[0]}),
                "params": dict(self.params[outcome.number]),
            }
            for outcome in self.best
        ]
        return rows if several else next(iter(rows), None)


def task_ref(spec: StudySpec) -> TaskRef:
    """Where the study's task is found."""
    return TaskRef(str(spec.folder.resolve()), spec.task)


def check_choices(spec: StudySpec) -> None:
    """Hold sampler and pruner against Optuna. Raises SpecError with all that does not fit."""
    from sweep import extension, pruners, samplers, store, terminators, warm_start
    from sweep.loggers import choosing as loggers

    choosers = (samplers, pruners, terminators, warm_start, store, extension, loggers)
    problems = [problem for chooser in choosers for problem in chooser.problems(spec)]
    if problems:
        raise SpecError(sorted(problems, key=lambda problem: problem.line or 0))


def describe_task(spec: StudySpec, *, purity: bool = False) -> Description:
    """The task as its own process describes it. Raises SpecError with all that does not fit the file."""
    line = spec.document.line(("task",))
    file = str(spec.document.file)
    description = describe(task_ref(spec), sample_values(spec), key_line=line, file=file, purity=purity)
    problems = specs.validate_against(spec, description)
    if problems:
        raise SpecError(problems)
    return description


def run_study(
    spec: StudySpec,
    *,
    runs: Path,
    progress: Progress,
    accept_changed_task: bool = False,
    cluster: Cluster | None = None,
) -> Summary:
    """Run a study to its budget, or to Ctrl-C, here or on a cluster that is up.

    Raises SweepError; nothing recorded is ever lost.
    """
    began = time.monotonic()
    check_choices(spec)
    with open_run(spec, runs, accept_changed_task=accept_changed_task) as run:
        if finished(spec, run):
            with _logging(spec, run, progress):
                pass  # a logger that is new, or that an earlier session left behind, gets what it lacks
            history = run.history
            params = {number: row.params for number, row in history.study.trials.items()}
            return _summary(spec, run.path, history.told, params, 0, began, "finished before")
        if spec.executor == "ray":
            _begin_to_import_ray(cluster)
        progress.stage(f"looking at the task {spec.task}")
        description = describe_task(spec)
        driver = _drive(spec, description, run, progress, cluster)
        reason = "interrupted" if driver.state.phase is Phase.STOPPING else "finished"
        ledger = driver.ledger.as_json()
        run.close(reason, ledger=ledger)
        state = driver.state
        summary = _summary(spec, run.path, driver.told, driver.params, len(state.trials), began, reason)
        lanes = {
            "lanes": state.widest,
            "lane_busy_fraction": state.lane_time.useful_fraction,
            "lane_busy_fraction_while_asking": state.lane_time_while_asking.useful_fraction,
        }
        return replace(summary, totals={**summary.totals, **lanes}, ledger=ledger)


def _begin_to_import_ray(cluster: Cluster | None) -> None:
    """It takes as long as to look at a small task; what a cluster asks for is read while it is imported."""
    if cluster is not None:
        os.environ.update(cluster.environment)
    Thread(target=import_module, args=("sweep.executors.ray",), daemon=True).start()


def open_run(spec: StudySpec, runs: Path, *, accept_changed_task: bool) -> RunDir:
    """Hold the run directory. Raises RunDirError where another process does, or it is another study's."""
    run = RunDir.open(runs, spec.name)
    try:
        _check_same_study(spec, run)
        _check_same_task(spec, run, accept_changed_task)
    except BaseException:
        run.release()
        raise
    return run


def finished(spec: StudySpec, run: RunDir) -> bool:
    """Whether the budget is used up, no trial is open, and the last session came to its end.

    One that was killed may have told the log what Optuna was not told any more.
    """
    trials, history = spec.budget.trials, run.history
    used_up = trials is not None and len(history.told) >= trials
    return used_up and not history.live and history.closed == "finished"


def _check_same_study(spec: StudySpec, run: RunDir) -> None:
    text = run.study_text
    if text is None:
        return
    path = run.path / layout.STUDY
    try:
        before = specs.parse(text, file=str(path))
    except SpecError as error:
        raise RunDirError(
            f"{path}: must be the study as it was resolved, but is damaged: {error}; if "
            f"{spec.document.file} is still the same study, move it away and run the same command again"
        ) from error
    changes = specs.differences(before, spec)
    if changes:
        lines = [f"  {change.key}: was {change.old}, is {change.new}" for change in changes]
        raise RunDirError(
            f"{run.path}: must be gone on with as the study it is; what differs:\n"
            + "\n".join(lines)
            + f"\nput these back, or give the study another `name` than {spec.name}"
        )


def _check_same_task(spec: StudySpec, run: RunDir, accept: bool) -> None:
    before = (run.provenance or {}).get("task_sha256")
    if before and not accept and before != (source_hash(task_ref(spec)) or ""):
        raise RunDirError(
            f"{run.path}: must be gone on with by the same task; {spec.task} has changed since; put it back, "
            "give the study another `name`, or say --accept-changed-task"
        )


def _drive(
    spec: StudySpec, description: Description, run: RunDir, progress: Progress, cluster: Cluster | None
) -> Driver:
    from sweep.driver import Driver
    from sweep.store import Store

    store = None if spec.checkpoints.store is None else Store(spec.checkpoints.store, spec.name)
    if store is not None:
        store.check()
    run.write_study(specs.resolved_text(spec))
    task = task_ref(spec)
    run.write_provenance(task_hash=source_hash(task) or "", hosts=[], folder=task.folder)
    run.record_opened(
        objectives=[(objective.metric, objective.direction) for objective in spec.objective],
        choices={name: entry.choices for name, entry in spec.space.items() if isinstance(entry, Choices)},
        trials=spec.budget.trials,
    )
    run.commit()
    study = _open_study(spec, description, run)
    executor = make_executor(spec, description, cluster, runs=run.path.parent)
    if spec.executor == "ray":
        from sweep.executors.ray_metrics import RayMetrics

        progress = RayMetrics(spec.name, spec.objective[0].metric, progress)
    driver = Driver(
        spec=spec,
        description=description,
        run=run,
        study=study,
        executor=executor,
        progress=progress,
        store=store,
    )
    progress.stage("starting workers")
    try:
        with _logging(spec, run, progress), _interrupting(driver.interrupt, progress), awake():
            driver.run()
    finally:
        executor.close()
        study.close()
    return driver


def _logging(spec: StudySpec, run: RunDir, progress: Progress) -> AbstractContextManager[object]:
    """The study file's loggers, fed from the log while this is entered."""
    if not spec.loggers:
        return nullcontext()
    from sweep.loggers.choosing import makers
    from sweep.loggers.following import Following

    return Following(run.path / layout.LOG, makers(spec, run.path), progress.note)


def _open_study(spec: StudySpec, description: Description, run: RunDir) -> Study:
    """Optuna's side; a journal that is damaged is set aside, and the driver builds it again from the log."""
    from sweep.study import Study

    length = longest(spec, description)
    asked = {number: row.params for number, row in run.history.study.trials.items()}
    study = None
    try:
        study = Study(spec, run.journal_path, length)
        study.check_against(asked, run.history.told)
    except JournalError as error:
        if spec.storage is not None:
            raise RunDirError(f"{spec.storage}: must hold this study as the log does: {error}") from error
        if study is not None:
            study.close()
        run.set_aside(layout.JOURNAL, str(error))
        study = Study(spec, run.journal_path, length)
    return study


def make_executor(
    spec: StudySpec, description: Description, cluster: Cluster | None, *, runs: Path
) -> Executor:
    """The executor that the study file names.

    On this machine it has one slot an accelerator, or one a core where there is none; on a cluster what its
    nodes have, and the study's folder travels there.
    """
    on_gpu = description.device == "gpu"
    slots = 1 if on_gpu or spec.executor == "inline" else cores()
    settings = WorkerSettings(
        task=task_ref(spec),
        snapshot_every_s=spec.checkpoints.every_s,
        keep_final=spec.checkpoints.keep_best > 0,
        objective=(spec.objective[0].metric, spec.objective[0].direction),
        keep_best_report=spec.checkpoints.keep_best > 0 and spec.checkpoints.keep_best_report,
        slots=slots,
        limit_bytes=spec.worker.memory_bytes,
    )
    if spec.executor == "inline":
        from sweep.executors.inline import InlineExecutor

        return InlineExecutor(settings)
    from sweep.executors.ray import RayExecutor
    from sweep.executors.ray_joined import JoinedRay
    from sweep.executors.ray_nodes import Home
    from sweep.executors.ray_own import OwnRay
    from sweep.executors.travelling import Luggage

    home: Home = OwnRay(slots, gpus=int(on_gpu))
    if cluster is not None:
        home = JoinedRay(cluster, Luggage(spec.folder.resolve(), (spec.folder / "runs", runs)))
        settings = replace(settings, task=TaskRef(".", spec.task))
    return RayExecutor(settings, home, name=spec.name)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _interrupting(interrupt: Callable[[], None], progress: Progress) -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP ends the study in order, the second at once; nothing is lost."""
    seen = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            raise KeyboardInterrupt
        interrupt()
        progress.note("stopping: the advances in flight end, runs are saved; once more to stop at once")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _summary(
    spec: StudySpec,
    run_dir: Path,
    told: Mapping[int, Outcome],
    params: Mapping[int, Mapping[str, Scalar]],
    running: int,
    began: float,
    reason: str,
) -> Summary:
    complete = {
        number: outcome.values
        for number, outcome in told.items()
        if outcome.state is TrialState.COMPLETE and outcome.feasible and outcome.values is not None
    }
    order = best_first(complete, [objective.direction for objective in spec.objective])
    counts = {state.value: 0 for state in TrialState}
    for outcome in told.values():
        counts[outcome.state.value] += 1
    totals: dict[str, float | None] = {
        name: round(sum(float(outcome.ledger.get(name, 0)) for outcome in told.values()), 3)
        for name in ("compile_s", "train_s", "evaluate_s", "idle_s", "lost_s", "traces")
    }
    return Summary(
        study=spec.name,
        run_dir=run_dir,
        trials={**counts, "RUNNING": running},
        best=tuple(told[number] for number in order[:5]),
        params=params,
        objectives=tuple(objective.metric for objective in spec.objective),
        wall_s=time.monotonic() - began,
        reason=reason,
        totals=totals,
    )
