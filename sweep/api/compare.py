"""`sweep compare`: runs side by side, from their files alone, and what differs in their study files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runlog import layout, ranking
from sweep.api.replaying import recorded
from sweep.api.status import Best, load_study_state
from sweep.errors import RunDirError, SpecError
from sweep.rundir.history import History, lane_time, read_history
from sweep.rundir.recorded_files import read_recorded
from sweep.spec.edited.differences import Difference, differences
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome


@dataclass(frozen=True)
class Side:
    """One run; `best` is over all its trials, `best_at_equal` over as many as every run has ended.

    `elapsed_s` is how long its sessions took together, `lane_s` how long its trials had lanes.
    """

    run: str
    trials: dict[str, int]
    best: Best | None
    best_at_equal: Best | None
    elapsed_s: float
    lane_s: float
    damage: tuple[str, ...]

    @property
    def ended(self) -> int:
        """Trials that ended, however they did."""
        return sum(count for state, count in self.trials.items() if state != "RUNNING")


@dataclass(frozen=True)
class Comparison:
    """Runs in the order given; `changes` holds each later run's differences from the first.

    `objectives` are those that all runs share: where they differ, values are not compared. `first` holds
    where each later run's trials, ends or reports differ first from the first run's, None where none do.
    """

    sides: tuple[Side, ...]
    objectives: tuple[tuple[str, str], ...]
    at: int
    changes: tuple[tuple[Difference, ...], ...]
    first: tuple[recorded.Difference | None, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        rows = [[each._asdict() for each in changes] for changes in self.changes]
        return {
            "runs": [asdict(side) for side in self.sides],
            "objectives": self.objectives,
            "at_equal_trials": self.at,
            "changes": rows,
            "first_differences": [None if each is None else each.as_json() for each in self.first],
            "notes": self.notes,
        }


def compare(runs: Sequence[str | Path]) -> Comparison:
    """Read two runs or more and hold them side by side. Raises RunDirError where one cannot be read."""
    run_dirs = [Path(run) for run in runs]
    if len(run_dirs) < 2:
        raise RunDirError("compare: needs two runs or more. Give their paths, such as runs/a runs/b")
    for run_dir in run_dirs:
        load_study_state(run_dir)
    histories = [read_history(run_dir) for run_dir in run_dirs]
    objectives = [tuple(history.study.objectives) for history in histories]
    shared = objectives[0] if len(set(objectives)) == 1 else ()
    at = min(len(history.told) for history in histories)
    notes = [] if shared else ["their objectives differ: values are not compared"]
    specs: list[StudySpec | None] = []
    for run_dir in run_dirs:
        specs.append(_spec(run_dir, notes))
    sides = [
        _side(run_dir, history, shared, at) for run_dir, history in zip(run_dirs, histories, strict=True)
    ]
    return Comparison(
        sides=tuple(sides),
        objectives=shared,
        at=at,
        changes=tuple(_changes(specs[0], spec) for spec in specs[1:]),
        first=tuple(_first_differences(run_dirs, histories)),
        notes=tuple(notes),
    )


def _first_differences(
    run_dirs: Sequence[Path], histories: Sequence[History]
) -> Iterator[recorded.Difference | None]:
    trials = [recorded.trials_of(*each) for each in zip(run_dirs, histories, strict=True)]
    yield from (recorded.first_difference(trials[0], other) for other in trials[1:])


def _spec(run_dir: Path, notes: list[str]) -> StudySpec | None:
    path = run_dir / layout.STUDY
    try:
        return parse(read_recorded(run_dir, layout.STUDY), str(path))
    except (OSError, RunDirError, SpecError) as error:
        why = error.strerror or str(error) if isinstance(error, OSError) else str(error).splitlines()[0]
        notes.append(f"{path}: cannot be compared: {why}")
        return None


def _changes(first: StudySpec | None, other: StudySpec | None) -> tuple[Difference, ...]:
    if first is None or other is None:
        return ()
    return tuple(differences(first, other, tuple(StudySpec.model_fields)))


def _side(run_dir: Path, history: History, objectives: Sequence[tuple[str, str]], at: int) -> Side:
    return Side(
        run=str(run_dir),
        trials=history.study.counts(),
        best=_best(history, list(history.told.values()), objectives),
        best_at_equal=_best(history, list(history.told.values())[:at], objectives),
        elapsed_s=history.elapsed_s,
        lane_s=sum(map(lane_time, history.told.values())),
        damage=history.damage,
    )


def _best(history: History, told: Sequence[Outcome], objectives: Sequence[tuple[str, str]]) -> Best | None:
    """The best of these trials, which stand in the order they were asked in."""
    for outcome in ranking.best(told, [direction for _, direction in objectives]):
        params = history.study.trials[outcome.number].final_params
        return Best(outcome.number, outcome.values or (), params)
    return None
