"""One run of the command: open the run directory, settle whether the study can resume, drive it.

open_run      the directory, refused where it belongs to another study
with_its_order  the study with the lag that its run began with
finished      whether nothing is left to do, without starting anything
drive         train until the study ends or is interrupted
await_resumed a paused study, until it is resumed
driving       the driver of a session, for one who takes its steps
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from sweep.driver.build import (
    logging_to,
    make_executor,
    notifying,
    open_study,
    pruner_notes,
    task_hash,
    task_ref,
)
from sweep.driver.editing import record_edit, study_before
from sweep.driver.monitor.progress import Progress
from sweep.driver.signals import Interrupter, interrupting
from sweep.driver.steering.waiting import Waiting
from sweep.driver.task_source import TaskSource
from sweep.errors import RunDirError, SpecError
from sweep.executors.awake import awake
from sweep.executors.base import Executor
from sweep.executors.choosing import traits
from sweep.executors.cluster import Cluster
from sweep.rundir.rundir import RunDir
from sweep.spec.edited.differences import differences
from sweep.spec.edited.edits import points_gone, refusals
from sweep.spec.order import idle_notes, lag_of, settled
from sweep.spec.resolve import resolved_text
from sweep.spec.schema import Choices, StudySpec
from sweep.spec.task_description import Description

if TYPE_CHECKING:
    from sweep.driver.driver import Driver
    from sweep.driver.result import DriverResult


def open_run(
    spec: StudySpec, runs: Path, *, accept_changed_task: bool, source: TaskSource | None = None
) -> RunDir:
    """Hold the run directory, and write the task's `source` there where it lies in no file of its own.

    Raises RunDirError where another process holds it, or it is another study's, and
    SpecError where what a new one learns from cannot be read.
    """
    run = RunDir.open(runs, spec.name)
    try:
        check_same_study(spec, run)
        if not run.history.study.trials:
            check_sources(spec)
        _check_same_task(spec, run, accept_changed_task, source)
        if source is not None:
            source.write(run.path)
    except BaseException:
        run.release()
        raise
    return run


def finished(spec: StudySpec, run: RunDir) -> bool:
    """Whether the budget is used up, no trial is open, and the last session ended normally.

    One that was killed may have told the log what Optuna has not heard.
    """
    trials, history = spec.budget.trials, run.history
    used_up = trials is not None and history.used >= trials
    return used_up and not history.unfinished and history.closed == "finished"


def check_same_study(spec: StudySpec, run: RunDir) -> None:
    """Raise RunDirError where the run directory is another study's, or its edited space cannot be meant."""
    before = study_before(spec, run)
    if before is None:
        return
    spec = with_its_order(spec, run)
    trials = list(run.history.study.trials.values())
    changes = [*differences(before, spec), *points_gone(before, spec, len(trials))]
    lines = [f"{change.key}: was {change.old}, is {change.new}" for change in changes]
    lines += refusals(before, spec, trials)
    if lines:
        raise RunDirError(
            f"{run.path}: cannot resume: these keys differ from the study this run was started with:\n"
            + "\n".join(f"  {line}" for line in lines)
            + f"\nRestore them, or give the study another `name` than {spec.name}"
        )


def with_its_order(spec: StudySpec, run: RunDir) -> StudySpec:
    """The study with its lag as a number, which the run keeps whatever becomes of its budget."""
    return settled(spec, run.history.study.lag)


def check_sources(spec: StudySpec) -> None:
    """Raise SpecError where what `warm_start` names cannot be read; a study that began needs it no more."""
    from sweep.search import warm_start

    if problems := warm_start.problems(spec):
        raise SpecError(problems)


def _check_same_task(spec: StudySpec, run: RunDir, accept: bool, source: TaskSource | None) -> None:
    before = (run.provenance or {}).get("task_sha256")
    now = source.sha256 if source is not None else task_hash(spec)
    if before and not accept and before != now:
        raise RunDirError(
            f"{run.path}: cannot resume: the source of task {spec.target} changed since the run started. "
            "Restore it, rename the study, or pass --accept-changed-task"
        )


def await_resumed(spec: StudySpec, run: RunDir, progress: Progress, interrupter: Interrupter | None) -> bool:
    """Hold a paused study, without workers, until it is resumed; False where it is stopped or interrupted."""
    over = Event()
    if interrupter is not None:
        interrupter.attach(over.set)
    progress.stage("paused")
    progress.note(
        f"{spec.name}: paused, its workers have ended. Resume it: python -m sweep resume {run.path}"
    )
    with interrupting(over.set, lambda _: None):
        resumed = Waiting(run, spec, progress.note, waits=True).await_resumed(over.is_set)
    if run.history.study.steered.paused is not None:
        progress.note(f"{spec.name}: stays paused. Resume it: python -m sweep resume {run.path}")
    return resumed


def check_same_reads(spec: StudySpec, description: Description, run: RunDir, *, accept: bool) -> None:
    """Raise RunDirError where files that the task reads changed since the run started."""
    before = (run.provenance or {}).get("reads", {})
    changed = [
        name
        for name, each in before.items()
        if description.reads.get(name, {}).get("sha256") != each["sha256"]
    ]
    if changed and not accept:
        raise RunDirError(
            f"{run.path}: cannot resume: what task {spec.target} reads changed since the run started: "
            f"{', '.join(changed)}. Restore it, rename the study, or pass --accept-changed-task"
        )


def drive(
    spec: StudySpec,
    description: Description,
    run: RunDir,
    progress: Progress,
    cluster: Cluster | None,
    *,
    interrupter: Interrupter | None = None,
) -> DriverResult:
    """Record what runs, and drive the study until it ends or is interrupted."""
    record_session(spec, run, description, progress)
    executor = make_executor(spec, description, cluster, runs=run.path.parent, shares=True)
    for note in (*pruner_notes(spec, description), *idle_notes(spec, executor.slots)):
        run.record_message("warning", note)
        progress.note(note)
    if traits(spec).has_dashboard:
        from sweep.driver.monitor.prometheus import RayMetrics

        progress = RayMetrics(spec.name, spec.objective[0].metric, progress)
    with driving(spec, description, run, progress, executor) as driver:
        if interrupter is not None:
            interrupter.attach(driver.interrupt)
        progress.stage("starting workers")
        with interrupting(driver.interrupt, progress.note, at_once=lambda: driver.is_starting), awake():
            return driver.run()


def record_session(spec: StudySpec, run: RunDir, description: Description, progress: Progress) -> None:
    """Record that this session runs the study, as it is resolved, and how its space was edited."""
    record_edit(spec, run, progress.note)
    run.write_study(resolved_text(spec))
    task = task_ref(spec)
    run.write_provenance(task_hash=task_hash(spec), hosts=[], folder=task.folder, reads=description.reads)
    run.record_opened(
        objectives=[(objective.metric, objective.direction) for objective in spec.objective],
        choices={name: entry.choices for name, entry in spec.space.items() if isinstance(entry, Choices)},
        trials=spec.budget.trials,
        lag=lag_of(spec),
    )
    run.commit()


@contextmanager
def driving(
    spec: StudySpec,
    description: Description,
    run: RunDir,
    progress: Progress,
    executor: Executor,
) -> Iterator[Driver]:
    """The driver of a session that was recorded; at the end its executor, storage and loggers are closed.

    How the study ended is told meanwhile.
    """
    from sweep.driver.checkpoint_store import open_store
    from sweep.driver.driver import Driver

    with notifying(spec, run, progress) as notifier, ExitStack() as closing:
        closing.callback(executor.close)
        study = open_study(spec, description, run)
        closing.callback(study.storage.close)
        for note in study.notes:
            run.record_message("info", note)
            progress.note(note)
        driver = Driver(
            spec=spec,
            description=description,
            run=run,
            study=study,
            executor=executor,
            progress=progress,
            store=open_store(spec),
            notifier=notifier,
        )
        closing.enter_context(logging_to(spec, run, progress, interrupted=lambda: driver.interrupted))
        yield driver
        notifier.end(driver.view(), driver.result(), done=driver.done)
