"""The parts of a study, made from its file: description, Optuna's side, executor, loggers."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runlog import layout
from sweep.driver.editing import edited
from sweep.driver.limits import saving_of, share_of
from sweep.driver.monitor.progress import Progress
from sweep.driver.processes.describe import describe
from sweep.errors import JournalError, RunDirError, SpecError, StaleJournalError
from sweep.executors import choosing as executors
from sweep.executors.base import Assignment, Executor
from sweep.executors.cluster import Cluster
from sweep.rundir.rundir import RunDir
from sweep.spec import order
from sweep.spec.against_task import validate_against
from sweep.spec.command import program
from sweep.spec.command.program import program_of
from sweep.spec.edited.edits import fitting
from sweep.spec.plans import greatest_values, longest, sample_values
from sweep.spec.schema import Choices, StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.turn import Command, TaskRef, WorkerSettings
from sweep.worker.task_loading import source_hash

if TYPE_CHECKING:
    from sweep.driver.notify.notifier import Notifier
    from sweep.search.study import Study


def task_ref(spec: StudySpec) -> TaskRef:
    """Where the study's task is found."""
    return TaskRef(str(spec.folder.resolve()), spec.target)


def task_hash(spec: StudySpec) -> str:
    """SHA-256 of the file that a task or a command runs; nothing where that is none of the study's folder."""
    if spec.command is None:
        return source_hash(task_ref(spec)) or ""
    program = program_of(spec.command, spec.folder)
    return hashlib.sha256((spec.folder / program).read_bytes()).hexdigest() if program is not None else ""


def check_choices(spec: StudySpec, *, sources: bool = True, telling: bool = True) -> None:
    """Check every class that the study file names, and its arguments. Raises SpecError with all problems.

    With `sources` what `warm_start` names, too; with `telling` what `notify` needs of this machine.
    """
    from sweep.driver import checkpoint_store as store
    from sweep.driver import extension
    from sweep.driver.loggers import choosing as loggers
    from sweep.driver.notify import choosing as notify
    from sweep.search import samplers, terminators, warm_start
    from sweep.search.pruning import pruners

    choosers = [order, samplers, pruners, terminators, executors, store, extension, loggers]
    choosers += [warm_start] if sources else []
    choosers += [notify] if telling else []
    problems = [problem for chooser in choosers for problem in chooser.problems(spec)]
    if problems:
        raise SpecError(sorted(problems, key=lambda problem: problem.line or 0))


def describe_task(spec: StudySpec, *, purity: bool = False) -> Description:
    """The task as its own process describes it. Raises SpecError with all that does not fit the file."""
    if problems := list(program.problems(spec)) if spec.cluster == "local" else []:
        raise SpecError(problems)
    line = spec.document.line(("task",))
    file = str(spec.document.file)
    description = describe(
        task_ref(spec),
        sample_values(spec),
        greatest=greatest_values(spec),
        choices={name: entry.choices for name, entry in spec.space.items() if isinstance(entry, Choices)},
        key_line=line,
        file=file,
        purity=purity,
        trainable=spec.trainable,
    )
    problems = validate_against(spec, description)
    if problems:
        raise SpecError(problems)
    return description


def logging_to(
    spec: StudySpec, run: RunDir, progress: Progress, *, interrupted: Callable[[], bool] = lambda: False
) -> AbstractContextManager[object]:
    """The study file's loggers, fed from the log while this is entered; hardly awaited once `interrupted`."""
    if not spec.loggers:
        return nullcontext()
    from sweep.driver.loggers.choosing import makers
    from sweep.driver.loggers.following import Following

    return Following(run.path / layout.LOG, makers(spec, run.path, progress.note), progress.note, interrupted)


def notifying(spec: StudySpec, run: RunDir, progress: Progress) -> Notifier:
    """Tells the people that the study file names how the study goes, while this is entered."""
    from sweep.driver.notify.choosing import channels
    from sweep.driver.notify.message import About, Message
    from sweep.driver.notify.notifier import Notifier

    def record(to: str, message: Message) -> None:
        run.record_notified(message.event, to, trial=message.trial, ended=message.ended)
        run.write()  # after a kill it counts as told

    def say(text: str) -> None:
        run.record_message("warning", text)
        progress.note(text)

    return Notifier(
        channels(spec),
        About(spec.name, spec.objective[0].metric, platform.node(), run.history.elapsed_s),
        stop_after=spec.failures.stop_after,
        told=run.history.study.notified,
        record=record,
        say=say,
        note=progress.note,
    )


def open_study(spec: StudySpec, description: Description, run: RunDir) -> Study:
    """Optuna's side; a journal that is damaged is set aside, and the driver builds it again from the log."""
    from sweep.search.pruning.lengths import pruner_in_examples
    from sweep.search.study import Study

    spec = pruner_in_examples(spec, description.train_examples)
    length = longest(spec, description)
    asked = {number: row.params for number, row in run.history.study.trials.items()}
    retries = {number: asked[number] for number in run.history.study.unasked_retries()}
    made = partial(
        Study,
        spec,
        run.journal_path,
        length,
        retries=retries,
        points=run.history.study.steered.points,
        edited=edited(spec, run),
        first=min(asked, default=None),
        began=min((row.asked for row in run.history.study.trials.values() if row.asked), default=None),
    )
    study = None
    try:
        if spec.storage is None:
            run.check_journal()
        try:
            study = made()
        except StaleJournalError:
            run.replace_journal(partial(_refit_journal, spec, run))
            study = made()
        study.storage.check_against(asked, run.history.told)
    except JournalError as error:
        if spec.storage is not None:
            raise RunDirError(f"{spec.storage}: must hold this study as the log does: {error}") from error
        if study is not None:
            study.storage.close()
        run.set_aside(layout.JOURNAL, str(error))
        study = made()
    return study


def _refit_journal(spec: StudySpec, run: RunDir, path: Path) -> None:
    """Write Optuna's journal again, its trials as they are in the space that was edited."""
    from sweep.search.storage import StudyStorage

    storage = StudyStorage(spec, path, edited(spec, run))
    try:
        storage.adopt(run.journal_path, fitting(spec, run.history.study.edits))
        storage.commit()
    finally:
        storage.close()


def study_in_memory(spec: StudySpec, description: Description) -> Study:
    """Optuna's side of a study that is written nowhere."""
    from sweep.search.pruning.lengths import pruner_in_examples
    from sweep.search.study import Study

    spec = pruner_in_examples(spec, description.train_examples)
    return Study(spec, None, longest(spec, description))


def pruner_notes(spec: StudySpec, description: Description) -> tuple[str, ...]:
    """What `check` says of a pruner that can do nothing, or not what its numbers look like."""
    from sweep.search.pruning.lengths import pruner_in_examples
    from sweep.search.pruning.reach import reach

    length = longest(spec, description)
    return reach(pruner_in_examples(spec, description.train_examples), length).notes


def texts(description: Description) -> tuple[tuple[str, str], ...]:
    """The texts that workers read instead of the files, by name: no edit reaches a study that runs."""
    return tuple((name, each["text"]) for name, each in description.reads.items() if "text" in each)


def command_of(spec: StudySpec) -> Command | None:
    """The study's command as workers run it; None where it has a task."""
    if spec.command is None:
        return None
    return Command(
        arguments=spec.command,
        metrics=dict(spec.metrics),
        environment=dict(spec.environment),
        working_directory=spec.working_directory,
        counts_from_resume=spec.counts_from == "resume",
        needs_examples=spec.pruner.name != "none",
    )


def make_executor(
    spec: StudySpec, description: Description, cluster: Cluster | None, *, runs: Path, shares: bool = False
) -> Executor:
    """The executor that the study file names, for this machine or for a cluster that is up.

    It `shares` slots with other studies as the file says, or takes what it finds.
    On this machine it has one slot for each accelerator, or one for each core where there is none.
    """
    on_gpu = description.device == "gpu"
    slots = 1 if on_gpu or executors.traits(spec).in_process else cores()
    saving = saving_of(spec)
    settings = WorkerSettings(
        task=replace(task_ref(spec), texts=texts(description)),
        snapshot_every_s=saving.every_s,
        keep_final=saving.final,
        objective=(spec.objective[0].metric, spec.objective[0].direction),
        keep_best_report=saving.best_report,
        slots=slots,
        limit_bytes=spec.worker.memory_bytes,
        trainable=spec.trainable,
        command=command_of(spec),
    )
    assignment = Assignment(
        spec.name,
        settings,
        spec.folder,
        runs,
        slots,
        int(on_gpu),
        cluster,
        share_of(spec) if shares else None,
    )
    return executors.factory(spec).make(assignment)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
