"""`sweep export-schedule`: the schedule that a member of a population came by, as a study of one trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from configfile import yamlfile
from runlog import layout
from runlog.lineage import Lineage, Stretch
from runlog.study import StudyState
from sweep.api.extend import study_folder
from sweep.errors import RunDirError
from sweep.rundir.disk import replace_file
from sweep.rundir.history import read_history
from sweep.rundir.recorded_files import read_recorded
from sweep.spec.parse import parse
from sweep.spec.population.settings import population_of
from sweep.spec.resolve import resolved
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Scalar


class ExportedSchedule(NamedTuple):
    """The study file that was written, the member whose schedule it holds, and how many pieces it has."""

    path: Path
    trial: int
    pieces: int


def export_schedule(
    run_dir: str | Path, trial: int | None = None, *, name: str | None = None
) -> ExportedSchedule:
    """Write a member's schedule, the best one's by default, as a study file beside the run's own.

    The study trains one trial, from the beginning, to the member's weights. Raises SweepError where the run
    has no population or no such trial, or a file of that name is there and differs.
    """
    run_dir = Path(run_dir)
    if missing := [each for each in (layout.LOG, layout.STUDY) if not (run_dir / each).is_file()]:
        raise RunDirError(
            f"{run_dir}: is not a run directory: it has no {missing[0]}. Give one, such as runs/digits"
        )
    spec = parse(read_recorded(run_dir, layout.STUDY), str(run_dir / layout.STUDY))
    if population_of(spec) is None:
        raise RunDirError(f"{run_dir}: has no population (sampler: {{name: pbt}}): its trials have constants")
    study = read_history(run_dir).study
    number = _chosen(run_dir, study, trial)
    pieces = pieces_of(study.lineage, number)
    values = _study(spec, study, number, pieces, name or f"{spec.name}-trial-{number}")
    path, text = study_folder(run_dir) / f"{values['name']}.yaml", yamlfile.dump(values)
    parse(text, str(path))  # a name that is none, say, before anything is written
    if path.exists() and path.read_text("utf-8") != text:
        raise RunDirError(f"{path}: already exists and differs. Choose another name with --name NAME")
    replace_file(path, text.encode("utf-8"))
    return ExportedSchedule(path, number, len(pieces))


def _chosen(run_dir: Path, study: StudyState, trial: int | None) -> int:
    if trial is None:
        best = study.best()
        if not best:
            raise RunDirError(f"{run_dir}: no trial is complete. Name one by its number")
        return best[0].number
    if trial not in study.trials:
        there = f"trials {min(study.trials)} to {max(study.trials)} exist" if study.trials else "it has none"
        raise RunDirError(f"{run_dir}: no trial {trial} ({there})")
    return trial


def pieces_of(lineage: Lineage, number: int) -> list[dict[str, Any]]:
    """A member's lineage as pieces: what changes on the way, and the trials under whose keys it trained.

    The hyperparameters of the last piece are the trial's own.
    """
    past, now = lineage.now(number).past, lineage.now(number).hyperparameters
    boundaries = {each.seen: each.examples for each in lineage.changes}
    names = sorted({name for each in past for name in now if each.hyperparameters[name] != now[name]})
    return [*(_piece(each, number, boundaries, names) for each in past), {"key": number}]


def _piece(
    stretch: Stretch, number: int, boundaries: Mapping[int, int], names: Sequence[str]
) -> dict[str, Any]:
    return {
        "until": {"examples": boundaries[stretch.until]},
        "values": {name: stretch.hyperparameters[name] for name in names},
        "key": number if stretch.trial is None else stretch.trial,
    }


def _study(
    spec: StudySpec, study: StudyState, number: int, pieces: Sequence[Mapping[str, Any]], name: str
) -> dict[str, Any]:
    """The run's study file with one trial, at the member's last hyperparameters, in pieces."""
    values = resolved(spec)
    for key in ("pruner", "stop", "warm_start", "storage"):
        values.pop(key, None)
    last: Mapping[str, Scalar] = study.lineage.now(number).hyperparameters
    values["name"] = name
    values["sampler"] = {"name": "random"}
    values["budget"] = {"trials": 1}
    values["lanes"] = 1
    values["enqueue"] = [{each: last[each] for each in spec.space}]
    values["trial"]["piecewise"] = list(pieces)
    values["checkpoints"]["keep_best"] = max(1, spec.checkpoints.keep_best)
    return values
