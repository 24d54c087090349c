"""The command line: `python -m sweep`. Arguments in, `sweep.api` called, text out; only this package prints.

starting      before a study: init, schema
importing     studies from other tools' files: import
studies       on a study file: run, check, plan, warm, queue, notify-test
runs          on run directories: status, list, show, logs, compare
extending     a finished run for longer: extend
exporting     a run's tables, adapters, schedules as files: export, export-adapter, export-schedule
retrying      failed trials, asked again: retry
replaying     trials trained again from their record: replay
keeping       checkpoints no longer wanted, files that are sound: rm, verify
agents        runs and studies as tools for agents: mcp
watching      a run in the browser: report, watch, ui
selftest      this project's claims on this machine: selftest
detaching     a study on its cluster's head: attach, fetch
steering      a run, while it runs: set, enqueue, prune, finish, pause, resume, stop, note, tag (a package)
ending        how a command ends: its errors, its exit code, its one JSON object
options       arguments that several verbs share
tables        tables on stdout
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

import typer

from clusters import commands as cluster
from sweep.cli import (
    agents,
    detaching,
    exporting,
    extending,
    importing,
    keeping,
    replaying,
    retrying,
    runs,
    selftest,
    starting,
    studies,
    watching,
)
from sweep.cli.ending import INTERRUPTED
from sweep.cli.steering import marks, trials, whole

app = typer.Typer(
    name="sweep",
    help="""Hyperparameter sweeps for Macs: Optuna proposes, Ray dispatches, MLX trains.

    \b
    sweep init                    write a study and a task to start from
    sweep check study.yaml        what would run, and everything that is wrong
    sweep run study.yaml          run it, or resume it
    sweep status runs/digits      what has happened, while it runs or after

    `python -m sweep` is the same. `sweep VERB --help` has examples of each.
    """,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help takes half a second to import
)

for verb in (
    starting.init,
    studies.check,
    studies.run,
    studies.plan,
    studies.warm,
    studies.queue,
    detaching.attach,
    detaching.fetch,
    trials.enqueue,
    trials.prune,
    trials.finish,
    whole.pause,
    whole.resume,
    whole.stop,
    marks.note,
    marks.tag,
    extending.extend,
    retrying.retry,
    replaying.replay,
    runs.status,
    runs.show,
    runs.logs,
    runs.compare,
    exporting.export,
    watching.report,
    watching.watch,
    watching.ui,
    agents.mcp,
    keeping.rm,
    keeping.verify,
    starting.schema,
    selftest.selftest,
):
    app.command()(verb)
app.command("list")(runs.list_)
app.command("set")(trials.set_)
app.command("import")(importing.import_)
app.command("export-adapter")(exporting.export_adapter)
app.command("export-schedule")(exporting.export_schedule)
app.command("notify-test")(studies.notify_test)
app.add_typer(cluster.app, name="cluster")


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a device that takes no more raises. Errors of files name them: only those of streams do not."""


def main() -> None:
    """Run the command line; after an interruption the process ends at once.

    All is closed and written then. Python would take a while to end, most of it for modules of others.
    """
    try:
        _run()
    except OSError as error:
        if error.filename is not None or error.errno not in FULL:
            raise
        with suppress(OSError):  # a terminal that is gone takes no word of it either
            text = f"output cannot be written: {error.strerror}. Free space, or write elsewhere"
            print(text, file=sys.stderr)
        os._exit(2)  # Python would try to write it once more, and say so


def _run() -> None:
    try:
        app(prog_name="sweep")
    except SystemExit as end:
        if end.code != INTERRUPTED:
            with suppress(BrokenPipeError):  # the reader has seen enough
                sys.stdout.flush()
            raise
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # what it went to is gone
                stream.flush()
        os._exit(INTERRUPTED)
