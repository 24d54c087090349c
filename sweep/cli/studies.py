"""Verbs on a study file: run it, check it, how long it would take, whom it tells, what it waits for."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.ending import INTERRUPTED, errors_end_the_command, results_on_stdout
from sweep.cli.options import AsJson, RunsFolder, StudyFile
from sweep.cli.tables import in_a_line, pairs, print_table
from sweep.driver.monitor.progress import Quiet
from sweep.errors import SweepError

if TYPE_CHECKING:
    from sweep.api.queue import Queue
    from sweep.api.run import Summary
    from sweep.executors.sharing.messages import Queued


def run(
    study: StudyFile,
    runs: RunsFolder = Path("runs"),
    trials: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Trials in all, instead of the file's."),
    ] = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    accept_changed_task: Annotated[
        bool, typer.Option("--accept-changed-task", help="Resume although the task's source has changed.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html at the end; never with `inline`.")
    ] = True,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="LAB", help="An inventory, or local, instead of the file's `cluster`."),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Start it on the cluster's head and return at once.")
    ] = False,
) -> None:
    """Run a study to its budget; run it again to resume where it stopped.

    With a cluster that this machine is no node of, it runs on the cluster's head and is followed from here.

    \b
    sweep run study.yaml
    sweep run study.yaml --detach           on the cluster's head; see attach, stop, fetch
    sweep run study.yaml --trials 100       continue to 100 trials in all
    sweep run study.yaml --json > end.json  one JSON object at the end
    """
    from sweep.api.remote import detach as detach_study
    from sweep.api.run import run as run_study

    with results_on_stdout(as_json), errors_end_the_command():
        if detach:
            found = detach_study(
                study, runs=runs, trials=trials, cluster=cluster, accept_changed_task=accept_changed_task
            )
            print(found.as_text(), file=sys.stderr)
            return
        summary = run_study(
            study,
            runs=runs,
            trials=trials,
            cluster=cluster,
            progress=Quiet() if quiet else None,
            accept_changed_task=accept_changed_task,
        )
    if as_json:
        print(json.dumps(summary.as_json()))
    elif summary.followed:
        print(f"results: {summary.run_dir}")
    else:
        _print_summary(summary, study)
    if report and not summary.in_process and summary.reason == "finished":
        _write_report(summary, as_json=as_json)
    _exit_for(summary)


def check(study: StudyFile, as_json: AsJson = False) -> None:
    """Check a study file and its task without training; say what would run.

    \b
    sweep check study.yaml
    """
    from sweep.api.check import check as check_study

    with results_on_stdout(as_json), errors_end_the_command():
        found = check_study(study)
    print(json.dumps(found.as_json()) if as_json else found.as_text())


def warm(study: StudyFile, as_json: AsJson = False) -> None:
    """Have every node compile the study's programs and measure their lanes, before the study runs.

    Both are kept on the node. Type it on a node after `sweep cluster up`. Exit code 1 if one fails.

    \b
    sweep warm study.yaml
    """
    from sweep.api.warm import warm as warm_study

    with results_on_stdout(as_json), errors_end_the_command():
        found = warm_study(study, say=(lambda text: None) if as_json else typer.echo)
    if as_json:
        print(json.dumps(found.as_json()))
    elif found.left_out:
        print(f"{found.left_out} more programs are left out: each trial of them compiles its own")
    if found.failed:
        raise typer.Exit(1)


def plan(
    study: StudyFile,
    nodes: Annotated[int, typer.Option(min=1, metavar="N", help="How many slots there would be.")] = 1,
    trial_seconds: Annotated[
        float | None, typer.Option(min=0.001, metavar="S", help="How long one trial trains alone.")
    ] = None,
    node_mtbf: Annotated[
        float | None, typer.Option(min=0.001, metavar="H", help="Hours between two failures of a node.")
    ] = None,
    measured: Annotated[
        Path | None, typer.Option("--from", metavar="RUN", help="Take the times of this run's trials.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how long a study would take on so many nodes, by simulating it; nothing is trained.

    \b
    sweep plan study.yaml --nodes 8 --trial-seconds 60
    sweep plan study.yaml --nodes 8 --from runs/digits
    """
    from sweep.api.plan import plan as plan_study

    if (trial_seconds is None) == (measured is None):
        raise typer.BadParameter("give either --trial-seconds or --from")
    with results_on_stdout(as_json), errors_end_the_command():
        mtbf_s = node_mtbf * 3600 if node_mtbf is not None else None
        found = plan_study(study, nodes=nodes, trial_seconds=trial_seconds, measured=measured, mtbf_s=mtbf_s)
    print(json.dumps(found.as_json()) if as_json else found.as_text())


def notify_test(study: StudyFile, as_json: AsJson = False) -> None:
    """Send a test message each way that the study file's `notify` names; exit code 1 where one fails.

    \b
    sweep notify-test study.yaml
    """
    from sweep.api.notify_test import notify_test as send

    with errors_end_the_command():
        tried = send(study)
    if as_json:
        print(json.dumps([asdict(each) for each in tried]))
    else:
        for each in tried:
            print(each.as_text())
    if any(each.problem is not None for each in tried):
        raise typer.Exit(1)


def _print_summary(summary: Summary, study: Path) -> None:
    counts = ", ".join(f"{count} {state.lower()}" for state, count in summary.counts.items() if count)
    counts += f" ({summary.diverged} diverged)" if summary.diverged else ""
    print(f"{summary.study}: {counts or 'no trials'}; {_ending(summary, study)}")
    if summary.top:
        _print_best(summary)
    _print_final(summary)
    print(f"results: {summary.run_dir}")
    print(f"tables:  python -c \"import analysis; print(analysis.load('{summary.run_dir}').trials)\"")


def _print_final(summary: Summary) -> None:
    """What was found of the best trials on the test part, and what the best one's model answers."""
    for number, found in summary.final.items():
        if found.metrics:
            print(f"test, trial {number}: {pairs(found.metrics.items())}")
        for asked, answered in found.samples:
            print(f"trial {number} is asked: {in_a_line(asked)}")
            print(f"  and answers: {in_a_line(answered)}")


def _write_report(summary: Summary, *, as_json: bool) -> None:
    """A report that cannot be written is a message, not the command's failure."""
    from sweep.api.pages.report import write_report

    try:
        path = write_report(summary.run_dir)
        if not as_json:
            print(f"report:  {path}")
    except SweepError as error:
        print(f"no report was written: {error}", file=sys.stderr)


def _ending(summary: Summary, study: Path) -> str:
    match summary.reason:
        case "finished before":
            return "finished before, nothing is left to do (raise budget.trials for more trials)"
        case "gave up":
            return (
                f"stopped: {summary.gave_up}. Mend the cause, then resume with: python -m sweep run {study}"
            )
        case "interrupted":
            return f"stopped before the end. Resume with: python -m sweep run {study}"
        case _:
            return f"finished in {summary.wall_s:.0f} s"


def _print_best(summary: Summary) -> None:
    rows = [
        (str(best.number), *(f"{value:.6g}" for value in best.values.values()), pairs(best.params.items()))
        for best in summary.top
    ]
    columns = ("trial", *summary.objectives, "hyperparameters")
    print_table(columns, rows, title="Best trials", left=("hyperparameters",))


def _exit_for(summary: Summary) -> None:
    """130 after Ctrl-C, 1 where trials failed one after another or not one ended well, else 0."""
    if summary.reason == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if summary.gave_up is not None:
        raise typer.Exit(1)
    if summary.counts.get("FAIL") and not summary.counts.get("COMPLETE"):
        print("no trial ended well. The table's column `reason` says why", file=sys.stderr)
        raise typer.Exit(1)


def queue(
    inventory: Annotated[
        Path | None, typer.Argument(metavar="[LAB]", help="An inventory; without one, this machine.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the studies that share slots: what each has, what it gives back, when the next is free.

    \b
    sweep queue                of this machine
    sweep queue lab.yaml       of a cluster; on one of its nodes
    """
    from sweep.api.queue import queue as ask

    with errors_end_the_command():
        found = ask(inventory)
    if as_json:
        print(json.dumps(found.as_json()))
        return
    if not found.studies:
        print(f"{found.where}: no study shares slots")
        return
    columns = ("study", "user", "on", "priority", "weight", "slots", "share", "gives back", "for", "ends in")
    rows = [_queue_row(each) for each in found.studies]
    print_table(columns, rows, left=("study", "user", "on"))
    print(_about_next(found))


def _queue_row(each: Queued) -> tuple[str, ...]:
    ends = "" if each.ends_in_s is None else _about(each.ends_in_s)
    held = "waits" if each.waits else str(each.held)
    gives = str(each.gives or "")
    share, age = str(each.share), _about(each.age_s)
    rank = (str(each.priority), f"{each.weight:g}")
    return (each.name, each.user, each.host, *rank, held, share, gives, age, ends)


def _about_next(found: Queue) -> str:
    used = f"{found.held} of {found.slots} slots are used"
    if found.new:
        return f"{used}; the broker is new and gives out slots in a few seconds"
    seconds = found.next_in_s
    if seconds is None:
        return f"{used}; no trial has ended yet that would tell when the next is free"
    if found.held < found.slots:
        return used
    return (
        f"{used}; the next is free {'at the next report' if not seconds else f'in about {_about(seconds)}'}"
    )


def _about(seconds: float) -> str:
    """A duration to two digits or so: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
