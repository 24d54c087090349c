"""Studies that run on a cluster's head while this machine looks on or leaves: attach, stop, fetch.

`run_on_head` is what `sweep run` does on a machine outside of the inventory, and with --detach.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sweep.api import remote
from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import RunsFolder, StudyFile
from sweep.errors import SweepError

if TYPE_CHECKING:
    pass


def attach(study: StudyFile, runs: RunsFolder = Path("runs")) -> None:
    """Follow a study that runs on its cluster's head, to its end; then fetch its results.

    Ctrl-C ends the looking on, not the study. Ends as the study does.

    \b
    sweep attach study.yaml
    """
    from sweep.spec.parse import load

    with errors_end_the_command():
        spec = load(study)
        code = remote.follow(spec, study, remote.errand_of(spec), runs)
    raise typer.Exit(code)


def stop(study: StudyFile) -> None:
    """End a study on its cluster's head in order: what runs is saved, `sweep run` goes on with it.

    \b
    sweep stop study.yaml
    """
    from sweep.spec.parse import load

    with errors_end_the_command():
        spec = load(study)
        errand = remote.errand_of(spec)
        with remote.said_by_clusters():
            ran = errand.stop()
        if not ran:
            raise SweepError(f"{spec.name}: does not run on {errand.host}; `sweep fetch` brings its results")
        print(f"{spec.name}: stopping on {errand.host}; python -m sweep attach {study} sees it end")


def fetch(study: StudyFile, runs: RunsFolder = Path("runs")) -> None:
    """Bring the results of a study on its cluster's head here, while it runs or after.

    \b
    sweep fetch study.yaml
    """
    from sweep.spec.parse import load

    with errors_end_the_command():
        spec = load(study)
        print(f"results: {remote.fetch(spec, remote.errand_of(spec), runs)}")
