"""Train the best trials of a run for longer: `sweep.extend("runs/digits", "40 epochs")`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from configfile import yamlfile
from runlog import layout, ranking
from sweep.api.run import Summary, run
from sweep.driver.extension import Parent, parents_of
from sweep.driver.monitor.progress import Progress
from sweep.errors import RunDirError
from sweep.rundir.disk import replace_file
from sweep.rundir.history import History, read_history
from sweep.rundir.naming import runs_folder
from sweep.rundir.provenance import parse_provenance
from sweep.rundir.recorded_files import read_recorded
from sweep.spec.edited.edits import edited
from sweep.spec.edited.fitting import Fit
from sweep.spec.hyperparameters import LENGTH
from sweep.spec.parse import parse
from sweep.spec.resolve import extent_of, resolved
from sweep.spec.schema import StudySpec
from sweep.vocabulary.turn import Trainable


def extend(
    run_dir: str | Path,
    length: str,
    *,
    best: int | None = None,
    name: str | None = None,
    stretch: bool = False,
    runs: str | Path = "runs",
    progress: Progress | None = None,
) -> Summary:
    """Train the best trials of a run for longer, from their checkpoints; writes a study file and runs it.

    `length` is such as "40 epochs"; `best` is how many trials, without it all whose checkpoints are kept.
    A schedule ends where it did, and the rate stays as it then was, unless `stretch`. Raises SweepError.
    """
    runs = runs_folder(runs)
    path = write_extension(Path(run_dir), length, best=best, name=name, stretch=stretch)
    return run(path, runs=runs, progress=progress)


def write_extension(
    run_dir: Path, length: str, *, best: int | None = None, name: str | None = None, stretch: bool = False
) -> Path:
    """Write the study file that extends a run, beside the run's own; its path. Raises SweepError."""
    path, text = study_text(run_dir, length, best=best, name=name, stretch=stretch)
    if path.exists() and path.read_text("utf-8") != text:
        raise RunDirError(f"{path}: already exists and differs. Choose another name with --name NAME")
    replace_file(path, text.encode("utf-8"))
    return path


def study_text(
    run: Path, length: str, *, best: int | None = None, name: str | None = None, stretch: bool = False
) -> tuple[Path, str]:
    """The study file that extends the best trials of a run, and where it belongs: beside the run's own.

    `length` is such as "40 epochs". Raises RunDirError, or SpecError for a length that cannot be meant.
    """
    value, unit = _extent(length)
    if missing := [name for name in (layout.LOG, layout.STUDY) if not (run / name).is_file()]:
        raise RunDirError(
            f"{run}: is not a run directory: it has no {missing[0]}. Give one, such as runs/digits"
        )
    parent = parse(read_recorded(run, layout.STUDY), str(run / layout.STUDY))
    if parent.trainable is not Trainable.TASK:
        raise RunDirError(
            f"{run}: cannot be extended: {parent.target} is a {parent.trainable}, which decides itself "
            "how long it trains. Start another study with `warm_start`"
        )
    if own := [name for name in LENGTH if name in parent.space]:
        raise RunDirError(
            f"{run}: each trial has its own length, by `{own[0]}` in `space`, and cannot be extended to one"
        )
    before = getattr(extent_of(parent, parent.fixed), unit)
    if before is not None and value <= before:
        raise RunDirError(
            f"length {value:g} {unit} is not longer than the run's {before:g} {unit}. Give a longer one"
        )
    history = read_history(run)
    parents = parents_of(run, history, parent.trial.replicates)
    if not parents:
        raise RunDirError(
            f"{run}: holds no final checkpoint of a complete trial. Run the study again with "
            "checkpoints: {keep_best: 3} in its file and without `store`"
        )
    order = _best(parents, history, parent)[:best]
    fits = edited(parent, history.study.edits, history.study.trials).fits
    others = [each for each in order if each.trial in fits and not _is_as_asked(fits[each.trial], each)]
    if others:
        raise RunDirError(
            f"{run}: trials {', '.join(str(each.trial) for each in others)} were asked before the space was "
            "edited, and do not have its hyperparameters. Start another study with `warm_start`"
        )
    values = _extended(parent, order, run, {unit: value}, stretch=stretch)
    values["name"] = name or f"{parent.name}-{value:g}-{unit}"
    path, text = study_folder(run) / f"{values['name']}.yaml", yamlfile.dump(values)
    parse(text, str(path))  # a name that is none, say, before anything is written
    return path, text


def _is_as_asked(fit: Fit, parent: Parent) -> bool:
    """Whether the study file, as it is now, gives the very hyperparameters that a trial had."""
    return fit.exact and fit.params == parent.params


def _extended(
    parent: StudySpec, order: Sequence[Parent], run: Path, extent: Mapping[str, float], *, stretch: bool
) -> dict[str, Any]:
    """The parent's file with what differs; what chooses among trials is left out, all are trained."""
    values = resolved(parent)
    for key in ("warm_start", "stop", "pruner", "storage", "extends"):
        values.pop(key, None)
    values["trial"]["length"] = dict(extent)
    values["fixed"] = {name: value for name, value in values["fixed"].items() if name not in LENGTH}
    values["enqueue"] = [dict(each.params) for each in order]
    values["budget"] = {"trials": len(order)}
    values["checkpoints"]["keep_best"] = len(order)
    values["extends"] = {
        "run": str(run.resolve()),
        "trials": [each.trial for each in order],
        "schedule": "stretch" if stretch else "keep",
    }
    return values


def _extent(text: str) -> tuple[float, str]:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(epochs?|examples|updates)", text.strip())
    value = float(found[1]) if found else 0.0
    unit = found[2].removesuffix("s") + "s" if found else ""
    if value <= 0 or (unit != "epochs" and not value.is_integer()):
        units = ", ".join(LENGTH)
        raise RunDirError(f'length {text!r} is not a number of {units}. Write it like "40 epochs"')
    return (value if unit == "epochs" and not value.is_integer() else int(value)), unit


def _best(parents: Sequence[Parent], history: History, spec: StudySpec) -> list[Parent]:
    by_number = {each.trial: each for each in parents}
    outcomes = [history.told[number] for number in by_number]
    ranked = ranking.best(outcomes, [objective.direction for objective in spec.objective])
    return [by_number[outcome.number] for outcome in ranked]


def study_folder(run: Path) -> Path:
    """Where the run's study file lies, and with it the task."""
    path = run / layout.PROVENANCE
    found = parse_provenance(path, read_recorded(run, layout.PROVENANCE)) if path.exists() else {}
    folder = found.get("folder")
    if not isinstance(folder, str) or not Path(folder).is_dir():
        raise RunDirError(
            f"{run / layout.PROVENANCE}: the folder of the study file and its task is not there: "
            f"{json.dumps(folder)}. Run the study's own command once where the folder lies now"
        )
    return Path(folder)
