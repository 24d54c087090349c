"""Run a study, here or on its cluster: `sweep.run("study.yaml").best`, or `sweep.run(task=train, ...)`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, overload

from runlog import layout
from runlog.study import read_study
from sweep.api import remote
from sweep.api.cluster import joined
from sweep.api.python.given import Given, StudyKeys, Task, given_study
from sweep.api.python.summary import Summary as Summary
from sweep.api.python.summary import of_history, summary_of
from sweep.driver.build import check_choices, describe_task, logging_to
from sweep.driver.editing import is_pending
from sweep.driver.monitor.choosing import progress_for
from sweep.driver.monitor.outlasting import Outlasting
from sweep.driver.monitor.progress import Progress
from sweep.driver.processes.final import record_final
from sweep.driver.session import await_resumed, check_same_reads, drive, finished, open_run, with_its_order
from sweep.driver.steering.settings import as_set, in_effect
from sweep.driver.steering.waiting import answer_late
from sweep.errors import RunInUseError, SweepError
from sweep.executors.choosing import factory
from sweep.executors.cluster import Cluster
from sweep.rundir.history import read_history
from sweep.rundir.lock import holder
from sweep.rundir.naming import runs_folder
from sweep.rundir.rundir import RunDir
from sweep.spec.given import Study
from sweep.spec.schema import StudySpec

if TYPE_CHECKING:
    from sweep.driver.signals import Interrupter
    from sweep.driver.task_source import TaskSource

PAUSED = "paused"
"""The reason where the study waits, without workers, until it is resumed."""

GAVE_UP = "gave up"
"""The reason where trials broke one after another and the study stopped: the same command resumes it."""


@overload
def run(
    study: Study,
    *,
    runs: str | Path = "runs",
    trials: int | None = None,
    cluster: str | Path | None = None,
    progress: Progress | None = None,
    accept_changed_task: bool = False,
) -> Summary: ...
@overload
def run(
    *,
    task: Task,
    runs: str | Path = "runs",
    trials: int | None = None,
    cluster: str | Path | None = None,
    progress: Progress | None = None,
    accept_changed_task: bool = False,
    **keys: Unpack[StudyKeys],
) -> Summary: ...
def run(
    study: Study | None = None,
    *,
    task: Task | None = None,
    runs: str | Path = "runs",
    trials: int | None = None,
    cluster: str | Path | None = None,
    progress: Progress | None = None,
    accept_changed_task: bool = False,
    **keys: Unpack[StudyKeys],
) -> Summary:
    """Run a study to its budget; run it again to resume where it stopped.

    `study` is a path, YAML text, a mapping with the study file's keys, or a StudySpec. Without one, `task` is
    a class or a function, of a file, a script or a notebook's cell, and `keys` are the study file's keys.
    `trials` is a total and `cluster` an inventory or "local", each instead of the study's own. `progress` is
    what shows how it goes, without it what fits where stderr goes. With a cluster that this machine is no
    node of, the study runs on the cluster's head and is followed from here. Raises SweepError; what is
    recorded is never lost.
    """
    runs = runs_folder(runs)
    given = given_study(study, task, keys, runs=runs, trials=trials, cluster=cluster)
    shown = Outlasting(progress_for(given.spec.name) if progress is None else progress)
    try:
        if remote.is_elsewhere(given.spec):
            return _run_elsewhere(
                given, runs=runs, trials=trials, shown=shown, accept_changed_task=accept_changed_task
            )
        return run_study(
            given.spec,
            runs=runs,
            progress=shown,
            accept_changed_task=accept_changed_task,
            cluster=joined(given.spec),
            source=given.source,
        )
    finally:
        if progress is None:
            shown.close()


MOST_SAID = 3
"""Lines of the log that are damaged are said one by one up to so many."""


def _said_once(damage: Sequence[str], run_dir: Path) -> Iterator[str]:
    """What to say of damage that no earlier session has seen."""
    for text in damage[:MOST_SAID]:
        yield f"{run_dir}: {text}"
    if len(damage) > MOST_SAID:
        yield f"{run_dir}: {len(damage) - MOST_SAID} more. All: python -m sweep verify {run_dir}"


def _run_elsewhere(
    given: Given, *, runs: str | Path, trials: int | None, shown: Progress, accept_changed_task: bool
) -> Summary:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        spec = given.staged_in(Path(folder))
        found = remote.detach(spec, runs=runs, trials=trials, accept_changed_task=accept_changed_task)
    shown.note(found.as_text())
    run_dir, code = found.follow(runs)
    if code not in (0, 1, 130):
        raise SweepError(
            f"{spec.name}: failed on {found.host} with exit code {code}; its messages stand above"
        )
    history = read_history(run_dir)
    summary = of_history(spec, run_dir, history, began, history.closed or "interrupted")
    return replace(summary, followed=True)


def run_study(
    spec: StudySpec,
    *,
    runs: Path,
    progress: Progress,
    accept_changed_task: bool = False,
    cluster: Cluster | None = None,
    source: TaskSource | None = None,
    interrupter: Interrupter | None = None,
) -> Summary:
    """Run a study to its budget, or until it is interrupted, here or on a cluster that is up.

    `source` is that of a task which lies in no file of its own. Raises SweepError; nothing recorded is ever
    lost.
    """
    began = time.monotonic()
    check_choices(spec, sources=False)
    said: list[str] = []  # not once more where the study is resumed
    while True:
        with _held(spec, runs, accept_changed_task=accept_changed_task, source=source) as run:
            for text in _said_once(run.history.fresh_damage, run.path):
                progress.note(text)
            asked = in_effect(with_its_order(spec, run), run, lambda text: _say_once(text, said, progress))
            if run.history.study.steered.paused is None:
                summary = _session(asked, run, progress, began, cluster, interrupter, accept_changed_task)
            elif await_resumed(asked, run, progress, interrupter):
                continue  # its log is read again: requests have changed what is to be done
            else:
                return of_history(asked, run.path, run.history, began, "interrupted")
        if summary is not None:
            answer_late(run.path, progress.note)
            return summary


def _held(spec: StudySpec, runs: Path, *, accept_changed_task: bool, source: TaskSource | None) -> RunDir:
    """The run directory, held. Raises RunDirError; where it is paused, that says how to resume it."""
    try:
        return open_run(spec, runs, accept_changed_task=accept_changed_task, source=source)
    except RunInUseError as error:
        run_dir = runs / spec.name
        pid = holder(run_dir / layout.LOCK)
        if pid is None or read_study(run_dir, on_damage=lambda _: None).steered.paused is None:
            raise
        raise RunInUseError(
            f"{run_dir}: is paused, and the process {pid} waits for it to be resumed: "
            f"python -m sweep resume {run_dir}"
        ) from error


def _say_once(text: str, said: list[str], progress: Progress) -> None:
    if text not in said:
        said.append(text)
        progress.note(text)


def _session(
    spec: StudySpec,
    run: RunDir,
    progress: Progress,
    began: float,
    cluster: Cluster | None,
    interrupter: Interrupter | None,
    accept_changed_task: bool,
) -> Summary | None:
    """Train until the study ends or is interrupted; None where it is paused."""
    if finished(spec, run):
        with logging_to(spec, run, progress):
            pass  # a logger that is new, or that an earlier session left behind, gets what it lacks
        if is_pending(spec, run):
            progress.note("the edited space is not searched: the budget is used. Raise budget.trials")
        return of_history(spec, run.path, run.history, began, "finished before")
    factory(spec).prepare(cluster)
    progress.stage(f"looking at the {'task' if spec.command is None else 'command'} {spec.target}")
    description = describe_task(spec)
    check_same_reads(spec, description, run, accept=accept_changed_task)
    result = drive(spec, description, run, progress, cluster, interrupter=interrupter)
    if result.paused:
        run.close(PAUSED, ledger=result.ledger)
        return None
    reason = "interrupted" if result.interrupted else "finished"
    reason = reason if result.gave_up is None else GAVE_UP
    final = run.history.study.final
    if reason == "finished":
        try:
            final = record_final(as_set(spec, run), description, run, result.told, progress)
        except KeyboardInterrupt:
            reason = "interrupted"
    run.close(reason, ledger=result.ledger)
    summary = summary_of(spec, run.path, result.told, result.params, result.running, began, reason)
    lanes = {
        "lanes": result.lanes.widest,
        "lane_busy_fraction": result.lanes.busy_fraction,
        "lane_busy_fraction_while_asking": result.lanes.busy_fraction_while_asking,
    }
    totals = {**summary.totals, **lanes}
    return replace(summary, totals=totals, ledger=result.ledger, gave_up=result.gave_up, final=final)
