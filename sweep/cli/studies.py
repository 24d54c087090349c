"""Verbs on a study file: run it, check it, or say how long it would take."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.api.cluster import inventory_of, joined
from sweep.api.remote import is_elsewhere, run_on_head
from sweep.cli.ending import errors_end_the_command, results_on_stdout
from sweep.cli.options import AsJson, RunsFolder, StudyFile
from sweep.cli.tables import pairs, print_table
from sweep.errors import SweepError

if TYPE_CHECKING:
    from sweep.api.run import Summary
    from sweep.driver.monitor.progress import Progress


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
        bool, typer.Option("--accept-changed-task", help="Go on although the task's source has changed.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html at the end; never with `inline`.")
    ] = True,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="LAB", help="An inventory, or local, instead of the file's `cluster`."),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Run it on the cluster's head and come back at once.")
    ] = False,
) -> None:
    """Run a study to its budget; run it again to go on where it stopped.

    With a cluster that this machine is no node of, it runs on the cluster's head and is followed from here.

    \b
    sweep run study.yaml
    sweep run study.yaml --detach           on the cluster's head; see attach, stop, fetch
    sweep run study.yaml --trials 100       go on to 100 trials in all
    sweep run study.yaml --json > end.json  one JSON object at the end
    """
    from sweep.api.run import run_study
    from sweep.executors.choosing import traits
    from sweep.spec.parse import load
    from sweep.spec.resolve import with_budget_trials, with_cluster

    with results_on_stdout(as_json), errors_end_the_command():
        spec = load(study)
        if trials is not None:
            spec = with_budget_trials(spec, trials)
        if cluster is not None:
            spec = with_cluster(spec, cluster)
        if detach or is_elsewhere(spec):
            options = ["--trials", str(trials)] if trials is not None else []
            options += ["--accept-changed-task"] if accept_changed_task else []
            if as_json:
                raise SweepError("--json needs the driver here; use: sweep status RUN --json, once fetched")
            raise typer.Exit(run_on_head(spec, study, runs=runs, options=options, detach=detach))
        joins = joined(spec)
        progress = progress_for(spec.name, quiet=quiet)
        try:
            summary = run_study(
                spec,
                runs=runs,
                progress=progress,
                accept_changed_task=accept_changed_task,
                cluster=joins,
            )
        finally:
            progress.close()
    if as_json:
        print(json.dumps(summary.as_json()))
    else:
        _print_summary(summary, study)
    if report and not traits(spec).in_process and summary.reason == "finished":
        _write_report(summary, as_json=as_json)
    _exit_for(summary)


def check(study: StudyFile, as_json: AsJson = False) -> None:
    """Check a study file and its task without training; say what would run.

    \b
    sweep check study.yaml
    """
    from sweep.api.check import check_study

    with results_on_stdout(as_json), errors_end_the_command():
        found = check_study(study)
        inventory_of(found.spec)
    print(json.dumps(found.as_json()) if as_json else found.as_text())


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
    from sweep.api.plan import forecast
    from sweep.api.times import Times, measured_times
    from sweep.driver.build import check_choices, describe_task
    from sweep.driver.monitor.progress import Quiet
    from sweep.spec.parse import load

    if (trial_seconds is None) == (measured is None):
        raise typer.BadParameter("give either --trial-seconds or --from")
    with results_on_stdout(as_json), errors_end_the_command():
        spec = load(study)
        check_choices(spec)
        times = (
            measured_times(measured, spec.trial.replicates)
            if measured is not None
            else Times({}, trial_seconds or 0.0)
        )
        mtbf_s = node_mtbf * 3600 if node_mtbf is not None else None
        found = forecast(spec, describe_task(spec), nodes=nodes, times=times, progress=Quiet(), mtbf_s=mtbf_s)
    print(json.dumps(found.as_json()) if as_json else found.as_text())


def progress_for(name: str, *, quiet: bool) -> Progress:
    """The form that fits where stderr goes."""
    from sweep.driver.monitor.progress import Lines, Quiet

    if quiet:
        return Quiet()
    if not sys.stderr.isatty():
        return Lines(name)
    from sweep.driver.monitor.live_view import LiveView

    return LiveView(name)


def _print_summary(summary: Summary, study: Path) -> None:
    counts = ", ".join(f"{count} {state.lower()}" for state, count in summary.trials.items() if count)
    print(f"{summary.study}: {counts or 'no trials'}; {_ending(summary, study)}")
    if summary.best:
        _print_best(summary)
    print(f"results: {summary.run_dir}")
    print(f"tables:  python -c \"import analysis; print(analysis.load('{summary.run_dir}').trials)\"")


def _write_report(summary: Summary, *, as_json: bool) -> None:
    """A run that ended well ends well, whatever becomes of its report."""
    from sweep.cli.reporting import write_report

    try:
        path = write_report(summary.run_dir)
        if not as_json:
            print(f"report:  {path}")
    except SweepError as error:
        print(f"no report was written: {error}", file=sys.stderr)


def _ending(summary: Summary, study: Path) -> str:
    match summary.reason:
        case "finished before":
            return "finished before, nothing was left to do (raise budget.trials to go on)"
        case "interrupted":
            return f"stopped before the end; to go on: python -m sweep run {study}"
        case _:
            return f"finished in {summary.wall_s:.0f} s"


def _print_best(summary: Summary) -> None:
    rows = [
        (
            str(best.number),
            *(f"{value:.6g}" for value in best.values or ()),
            pairs(summary.params[best.number].items()),
        )
        for best in summary.best
    ]
    columns = ("trial", *summary.objectives, "hyperparameters")
    print_table(columns, rows, title="BestSoFar trials", left=("hyperparameters",))


def _exit_for(summary: Summary) -> None:
    """130 after Ctrl-C, 1 where trials ended and not one of them well, else 0."""
    if summary.reason == "interrupted":
        raise typer.Exit(130)
    if summary.trials.get("FAIL") and not summary.trials.get("COMPLETE"):
        print("no trial ended well; the first reasons are in the table's column `reason`", file=sys.stderr)
        raise typer.Exit(1)
