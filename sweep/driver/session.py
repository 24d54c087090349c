"""One run of the command: open the run directory, settle whether the study can resume, drive it.

open_run      the directory, refused where it belongs to another study
finished      whether nothing is left to do, without starting anything
drive         train until the study ends or is interrupted
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runlog import layout
from sweep.driver.build import logging_to, make_executor, open_study, task_ref
from sweep.driver.monitor.progress import Progress
from sweep.driver.signals import interrupting
from sweep.errors import RunDirError, SpecError
from sweep.executors.awake import awake
from sweep.executors.choosing import traits
from sweep.executors.cluster import Cluster
from sweep.rundir.rundir import RunDir
from sweep.spec.differences import differences
from sweep.spec.parse import parse
from sweep.spec.resolve import resolved_text
from sweep.spec.schema import Choices, StudySpec
from sweep.spec.task_description import Description
from sweep.worker.task_loading import source_hash

if TYPE_CHECKING:
    from sweep.driver.result import DriverResult


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

    One that was killed may have told the log what Optuna has not heard.
    """
    trials, history = spec.budget.trials, run.history
    used_up = trials is not None and len(history.told) >= trials
    return used_up and not history.unfinished and history.closed == "finished"


def _check_same_study(spec: StudySpec, run: RunDir) -> None:
    text = run.study_text
    if text is None:
        return
    path = run.path / layout.STUDY
    try:
        before = parse(text, file=str(path))
    except SpecError as error:
        raise RunDirError(
            f"cannot resume: {path} is damaged: {error}. If {spec.document.file} is still the same study, "
            "move the damaged file away and run the same command again"
        ) from error
    changes = differences(before, spec)
    if changes:
        lines = [f"  {change.key}: was {change.old}, is {change.new}" for change in changes]
        raise RunDirError(
            f"{run.path}: cannot resume: these keys differ from the study this run was started with:\n"
            + "\n".join(lines)
            + f"\nRestore them, or give the study another `name` than {spec.name}"
        )


def _check_same_task(spec: StudySpec, run: RunDir, accept: bool) -> None:
    before = (run.provenance or {}).get("task_sha256")
    if before and not accept and before != (source_hash(task_ref(spec)) or ""):
        raise RunDirError(
            f"{run.path}: cannot resume: the source of task {spec.task} changed since the run started. "
            "Restore it, rename the study, or pass --accept-changed-task"
        )


def drive(
    spec: StudySpec, description: Description, run: RunDir, progress: Progress, cluster: Cluster | None
) -> DriverResult:
    """Record what runs, and drive the study until it ends or is interrupted."""
    from sweep.driver.checkpoint_store import open_store
    from sweep.driver.driver import Driver

    store = open_store(spec)
    run.write_study(resolved_text(spec))
    task = task_ref(spec)
    run.write_provenance(task_hash=source_hash(task) or "", hosts=[], folder=task.folder)
    run.record_opened(
        objectives=[(objective.metric, objective.direction) for objective in spec.objective],
        choices={name: entry.choices for name, entry in spec.space.items() if isinstance(entry, Choices)},
        trials=spec.budget.trials,
    )
    run.commit()
    study = open_study(spec, description, run)
    executor = make_executor(spec, description, cluster, runs=run.path.parent)
    if traits(spec).has_dashboard:
        from sweep.driver.monitor.prometheus import RayMetrics

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
        with logging_to(spec, run, progress), interrupting(driver.interrupt, progress.note), awake():
            return driver.run()
    finally:
        executor.close()
        study.storage.close()
