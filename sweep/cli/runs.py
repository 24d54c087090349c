"""Verbs that read run directories: from their files alone, while a study runs or after."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson, RunDirectory, RunsFolder
from sweep.cli.tables import print_table, short

if TYPE_CHECKING:
    from sweep.api.compare import Comparison, Side
    from sweep.api.list_runs import Listed
    from sweep.api.status import Best
    from sweep.vocabulary.trial import Report


def status(run: RunDirectory, as_json: AsJson = False) -> None:
    """Say what has happened in a run, while it runs or after.

    \b
    sweep status runs/digits
    watch -n 5 sweep status runs/digits     every five seconds
    """
    from sweep.api.status import as_text, read_status

    with errors_end_the_command():
        found = read_status(run)
    print(json.dumps(asdict(found)) if as_json else as_text(found))


def list_(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="A folder of runs. Default: runs.")
    ] = None,
    runs: RunsFolder = Path("runs"),
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="TAG", help="Only runs that `sweep tag` gave this tag.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs in a folder: what each asks, trials, best value, whether it runs, hours by node.

    \b
    sweep list
    sweep list --tag baseline
    sweep list /elsewhere/runs --json
    """
    from sweep.api.list_runs import list_runs

    runs = runs if folder is None else folder
    with errors_end_the_command():
        found = list_runs(runs, tag=tag)
    if as_json:
        rows = [
            {"path": str(each.path), "problem": each.problem, "status": each.status and asdict(each.status)}
            for each in found
        ]
        print(json.dumps(rows))
    elif not found:
        print(f"{runs}: no runs yet" if tag is None else f"{runs}: no run has the tag {tag}")
    else:
        _print_listed([_list_row(each) for each in found])


def show(
    run: RunDirectory,
    trial: Annotated[int, typer.Argument(min=0, metavar="TRIAL", help="The trial's number.")],
    as_json: AsJson = False,
) -> None:
    """Show one trial: hyperparameters, reports, where its time went, checkpoints.

    \b
    sweep show runs/digits 12
    """
    from sweep.api.show import read_trial

    with errors_end_the_command():
        found = read_trial(run, trial)
    if as_json:
        print(json.dumps(found.as_json()))
        return
    print(found.as_text())
    if found.reports:
        _print_reports(found.reports)


def logs(
    run: RunDirectory,
    trial: Annotated[int, typer.Argument(min=0, metavar="TRIAL", help="The trial's number.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print what is added, to its end.")] = False,
    replicate: Annotated[int, typer.Option(min=0, metavar="N", help="Of several replicates, this one.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Print what the command of a trial printed: stdout and stderr, as far as they are kept.

    A terminal gets its colours, and none of what would move the cursor, clear or set a title.

    \b
    sweep logs runs/script 3
    sweep logs runs/script 3 -f
    """
    from sweep.api import logs as kept

    with errors_end_the_command():
        if follow and not as_json:
            _print_output(kept.follow(run, trial, replicate=replicate))
            return
        found = kept.logs(run, trial)
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        _print_output([found.replicates.get(replicate, "")])


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN ...", help="Run directories.")],
    as_json: AsJson = False,
) -> None:
    """Hold runs side by side: trials, best values, time, and what differs in their studies.

    \b
    sweep compare runs/digits runs/digits-wide
    """
    from sweep.api.compare import compare as compare_runs

    with errors_end_the_command():
        found = compare_runs(runs)
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        _print_comparison(found)


def _print_output(pieces: Iterable[str]) -> None:
    """What a program printed: as it is kept into a file or a pipe, harmless on a terminal."""
    from sweep.vocabulary.harmless import Harmless

    harmless = Harmless() if sys.stdout.isatty() else None
    try:
        for text in pieces:
            print(text if harmless is None else harmless.enter(text), end="", flush=True)
    finally:
        if harmless is not None:
            print(harmless.end(), end="", flush=True)


LISTED = ("run", "trials", "best", "question", "state", "hours by node", "tags")
"""The columns of `sweep list`."""

ALWAYS = LISTED[:5]
"""Those that are shown even where no run has anything in them."""


def _print_listed(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns that are empty in all rows are left out, but for the first ones."""
    shown = [place for place, name in enumerate(LISTED) if name in ALWAYS or any(row[place] for row in rows)]
    columns = [LISTED[place] for place in shown]
    left = ("run", "question", "state", "hours by node", "tags")
    print_table(columns, [[row[place] for place in shown] for row in rows], left=left)


def _list_row(listed: Listed) -> tuple[str, ...]:
    """In the order of LISTED."""
    from sweep.api.overview.workers import hours_text
    from sweep.api.status import liveness

    status = listed.status
    if status is None:
        return listed.path.name, "", "", "", listed.problem or "", "", ""
    total = f"/{status.budget_trials}" if status.budget_trials is not None else ""
    ended = sum(count for state, count in status.trials.items() if state != "RUNNING")
    damage = f"; damage found: {len(status.damage)}" if status.damage else ""
    best = " ".join(f"{value:.6g}" for value in status.best.values) if status.best else ""
    question = status.question.partition(" by ")[0]
    on = ", ".join(f"{host} {count}" for host, count in status.workers.items())
    state = liveness(status) + (f", workers: {on}" if on else "") + damage
    spent = hours_text(status.node_s)
    return listed.path.name, f"{ended}{total}", best, question, state, spent, " ".join(status.tags)


def _print_reports(reports: tuple[Report, ...]) -> None:
    metrics = list(dict.fromkeys(name for report in reports for name in report.metrics))
    several = any(report.replicate for report in reports)
    rows = [
        (
            *((str(report.replicate),) if several else ()),
            f"{report.examples:,}",
            f"{report.epoch:.4g}",
            *(short(report.metrics.get(name)) for name in metrics),
            report.host,
        )
        for report in reports
    ]
    print_table(
        (*(("replicate",) if several else ()), "examples", "epoch", *metrics, "host"), rows, left=("host",)
    )


def _print_comparison(found: Comparison) -> None:
    from sweep.driver.monitor.progress import duration

    states = dict.fromkeys(state for side in found.sides for state in side.trials)
    rows = [(state.lower(), *(str(side.trials.get(state, 0)) for side in found.sides)) for state in states]
    if found.objectives:
        rows.append(("best", *(_best_text(side.best) for side in found.sides)))
        if any(side.ended != found.at for side in found.sides):
            rows.append(
                (f"best of first {found.at}", *(_best_text(side.best_at_equal) for side in found.sides))
            )
        names = dict.fromkeys(name for side in found.sides if side.best for name in side.best.params)
        rows += [(f"  {name}", *(_best_param(side, name) for side in found.sides)) for name in names]
    rows.append(("time", *(duration(side.elapsed_s) for side in found.sides)))
    rows.append(("lane time", *(duration(side.lane_s) for side in found.sides)))
    print_table(("", *(side.run for side in found.sides)), rows, left=("",))
    for side, changes in zip(found.sides[1:], found.changes, strict=True):
        for change in changes:
            print(f"{side.run}: {change.key}: {change.new}, {found.sides[0].run} has {change.old}")
    for side, difference in zip(found.sides[1:], found.first, strict=True):
        what = "equal: the same trials, ends and reports as" if difference is None else "differs from"
        at = "" if difference is None else f" first at {difference}"
        print(f"{side.run}: {what} {found.sides[0].run}{at}")
    for note in (
        *found.notes,
        *(f"{side.run}: damaged: {each}" for side in found.sides for each in side.damage),
    ):
        print(note, file=sys.stderr)


def _best_text(best: Best | None) -> str:
    return (
        f"{' '.join(f'{value:.6g}' for value in best.values)} (trial {best.number})" if best else "none yet"
    )


def _best_param(side: Side, name: str) -> str:
    return short(side.best.params.get(name)) if side.best else ""
