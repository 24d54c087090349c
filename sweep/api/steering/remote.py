"""Requests to a study on its cluster's head: asked there, with this machine's code, of the run there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runlog import layout
from sweep.api.remote import RemoteStudy, cluster_errors, is_elsewhere, remote_study
from sweep.errors import SweepError
from sweep.rundir.lock import holder
from sweep.spec.parse import load

RUNS = Path("runs")


def place_of(run: str | Path) -> Path | RemoteStudy:
    """The run that is meant: a directory, or what a study file names, here in `runs` or on its head."""
    run = Path(run)
    if not run.is_file():
        return run
    spec = load(run)
    here = RUNS / spec.name
    if spec.cluster == "local" or holder(here / layout.LOCK) is not None or not is_elsewhere(spec):
        return here
    return remote_study(spec)


def ask_there(study: RemoteStudy, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the run on the head answers, as `python -m sweep.api.steering` prints it. Raises SweepError."""
    command = ["-m", "sweep.api.steering", f"../runs/{study.spec.name}", verb, json.dumps(dict(arguments))]
    with cluster_errors():
        code, out, err = study.job.call(command)
    try:
        found: dict[str, Any] = json.loads(out)
    except ValueError:
        lines = [line.strip() for line in err.splitlines() if line.strip()] or [f"code {code}"]
        raise SweepError(
            f"{study.spec.name}: {study.host} did not answer: {lines[-1]}. Is the study there? "
            f"python -m sweep run {study.spec.document.file} --detach starts it"
        ) from None
    return found
