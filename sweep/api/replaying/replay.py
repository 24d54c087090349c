"""`sweep replay`: train trials of a run again from their record, and say where they differ first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runlog import layout
from runlog.reader import read_batches
from sweep.api.extend import study_folder
from sweep.api.replaying import proposals
from sweep.api.replaying.recorded import Difference, Place, Trial, report_differences, trials_of
from sweep.api.replaying.training import Trained, Training
from sweep.api.status import load_study_state
from sweep.driver.build import describe_task, make_executor, study_in_memory, task_hash
from sweep.driver.extension import Extension
from sweep.errors import RunDirError
from sweep.executors.choosing import traits
from sweep.rundir.history import History, read_history, read_reports
from sweep.rundir.provenance import parse_provenance, versions
from sweep.rundir.recorded_files import read_recorded
from sweep.spec.parse import parse
from sweep.spec.plans import plan
from sweep.spec.schema import ExecutorChoice, StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import TrialPlan, TrialState
from sweep.vocabulary.turn import Trainable

NEVER_S = 1e9
"""How often a trial that is trained again is saved: only its end is compared."""


@dataclass(frozen=True)
class TrialReplay:
    """A trial that was trained again; `weights` are None where no checkpoint of its end is kept."""

    trial: int
    state: str
    reports: int
    weights: str | None
    difference: Difference | None

    def __str__(self) -> str:
        if self.difference is not None:
            return str(self.difference)
        kept = "" if self.weights is None else f", weights {self.weights}"
        return f"trial {self.trial}: {self.reports} reports{kept}: equal"

    def as_json(self) -> dict[str, Any]:
        found = None if self.difference is None else self.difference.as_json()
        return {**vars(self), "difference": found}


@dataclass(frozen=True)
class Replay:
    """What came of it; `proposals` says what was found of proposals and verdicts, None for single trials."""

    run: str
    trials: tuple[TrialReplay, ...]
    proposals: str | None
    difference: Difference | None
    notes: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        return self.difference is None

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "equal": self.is_equal,
            "trials": [each.as_json() for each in self.trials],
            "proposals": self.proposals,
            "difference": None if self.difference is None else self.difference.as_json(),
            "notes": list(self.notes),
        }


def replay(
    run_dir: str | Path,
    trial: int | Sequence[int] | None = None,
    *,
    trials: int | None = None,
    accept_changed_task: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Replay:
    """Train a trial again, several, or all of them, each alone, and compare with what the run recorded.

    `trials` takes only so many of them, spread evenly. Of the whole run the proposals and verdicts are
    compared, too, where they do not depend on what arrived first. `say` gets a line for each trial.
    Raises SweepError where the run cannot be read, or its task is not the one that it was trained with.
    """
    run_dir = Path(run_dir)
    load_study_state(run_dir)
    history = read_history(run_dir)
    spec = _study(run_dir)
    if traits(spec).by_program:
        raise RunDirError(f"{run_dir}: a program asked for its trials and trained them. Run that again")
    recorded = trials_of(run_dir, history)
    chosen = _chosen(run_dir, recorded, trial, trials)
    found = _Replaying(spec, run_dir, history, accept_changed_task)
    for note in found.notes:
        say(note)
    done = []
    with closing(found):
        for number in chosen:
            done.append(found.trial(recorded[number]))
            say(str(done[-1]))
    said, first = (None, None) if trial is not None or trials is not None else found.proposals(recorded)
    differences = [each.difference for each in done if each.difference is not None]
    first = min([*differences, *([first] if first else [])], key=lambda each: each.trial, default=None)
    return Replay(str(run_dir), tuple(done), said, first, found.notes)


class _Replaying:
    """A run's task on a worker of its own, in this process."""

    def __init__(self, spec: StudySpec, run_dir: Path, history: History, accept_changed_task: bool) -> None:
        self._spec, self._run_dir, self._history = spec, run_dir, history
        provenance = _provenance(run_dir)
        if not accept_changed_task:
            _check_source(spec, run_dir, provenance)
        self._description = describe_task(spec)
        if not accept_changed_task:
            _check_reads(run_dir, provenance, self._description)
        self.notes = tuple(_notes(run_dir, history, provenance, self._description))
        self._extension = None if spec.extends is None else Extension(spec)
        self._executor = make_executor(spec, self._description, None, runs=run_dir.parent)
        self._training = Training(self._executor)

    notes: tuple[str, ...]

    def close(self) -> None:
        self._executor.close()

    def trial(self, recorded: Trial) -> TrialReplay:
        """Train every replicate again, and compare."""
        number, row = recorded.number, self._history.study.trials[recorded.number]
        made = plan(self._spec, self._description, number, row.params, asked=row.hyperparameters)
        made = made if self._extension is None else self._extension.apply(made)
        version = self._history.study.lineage.now(number)
        if version.past:  # a member of a population: what it reported before was by a state that it gave up
            made = replace(
                made, past=version.past, hyperparameters=version.hyperparameters, key_number=number
            )
            recorded = recorded.after(version.past[-1].until)
        trained = {
            replicate: self._training.train(
                made, replicate, until=self._until(recorded, made, replicate), width=self._width(number)
            )
            for replicate in range(self._spec.trial.replicates)
            if row.diverged or _places(recorded, replicate)
        }
        first = next(self._differences(recorded, trained), None)
        weights = self._weights(number, trained)
        if first is None and weights == "differ":
            first = Difference(number, "the final checkpoint", *self._hashes(number, trained))
        return TrialReplay(number, recorded.state, len(recorded.reports), weights, first)

    def proposals(self, recorded: dict[int, Trial]) -> tuple[str, Difference | None]:
        """What came of the proposals and verdicts, in words, and the first that differs."""
        why = proposals.obstacle(self._spec, self._history)
        if why is not None:
            return f"not compared: {why}", None
        study = study_in_memory(self._spec, self._description)
        found = proposals.differences(self._spec, study, recorded, self._history.told)
        first = next(found, None)
        return ("equal" if first is None else str(first)), first

    def _until(self, recorded: Trial, made: TrialPlan, replicate: int) -> int | None:
        """Up to which report a replicate trains; None to its end."""
        last = max((place.examples for place in _places(recorded, replicate)), default=0)
        row = self._history.study.trials[recorded.number]
        whole = recorded.state == TrialState.COMPLETE and (made.length.open or last >= made.length.examples)
        return None if whole or row.diverged else last

    def _width(self, number: int) -> int:
        """On a GPU a result repeats at the width that it was trained at."""
        if self._description.device != "gpu" or self._spec.trainable is not Trainable.TASK:
            return 1
        reports = read_reports(self._run_dir, {number}).get(number, ())
        return reports[0].width if reports else 1

    def _differences(self, recorded: Trial, trained: Mapping[int, Trained]) -> Iterator[Difference]:
        number, row = recorded.number, self._history.study.trials[recorded.number]
        last = max((place.examples for place in recorded.reports), default=0)
        for replicate, each in trained.items():
            was = {place: recorded.reports[place] for place in _places(recorded, replicate)}
            since = min((place.examples for place in was), default=0)
            now = {
                place: metrics for place, metrics in each.reports.items() if since <= place.examples <= last
            }
            yield from report_differences(number, was, now)
            if each.failure is not None and not row.diverged:
                end = f"failed: {each.failure.strip().splitlines()[-1]}"
                yield Difference(number, "its end", recorded.state, end, replicate)
        if row.diverged and not any(each.diverged for each in trained.values()):
            yield Difference(number, "its end", "diverged", "did not diverge")

    def _weights(self, number: int, trained: Mapping[int, Trained]) -> str | None:
        was, now = self._hashes(number, trained)
        if not was or not now:
            return None
        return "equal" if was == now else "differ"

    def _hashes(
        self, number: int, trained: Mapping[int, Trained]
    ) -> tuple[Mapping[int, str], Mapping[int, str]]:
        """SHA-256 of the checkpoints of a task's end that are kept, and of those that it has now."""
        if self._spec.trainable is not Trainable.TASK:
            return {}, {}
        kept = {
            each.replicate: each
            for each in self._history.checkpoints.values()
            if each.trial == number and each.final
        }
        pairs = {
            replicate: (kept[replicate], now.checkpoint)
            for replicate, now in trained.items()
            if replicate in kept and now.checkpoint is not None
        }
        same = {each: pair for each, pair in pairs.items() if pair[0].examples == pair[1].examples}
        return (
            {each: was.sha256 for each, (was, _) in same.items()},
            {each: now.sha256 for each, (_, now) in same.items()},
        )


def _places(recorded: Trial, replicate: int) -> list[Place]:
    return [place for place in recorded.reports if place.replicate == replicate]


def _chosen(
    run_dir: Path, recorded: Mapping[int, Trial], trial: int | Sequence[int] | None, count: int | None
) -> list[int]:
    """The numbers of the trials to train. Raises RunDirError where there is none of a number."""
    asked = [trial] if isinstance(trial, int) else list(trial or recorded)
    missing = [number for number in asked if number not in recorded]
    if missing:
        there = f"trials {min(recorded)} to {max(recorded)} exist" if recorded else "it has none"
        raise RunDirError(f"{run_dir}: no trial {missing[0]} ({there})")
    having = [number for number in asked if recorded[number].reports or trial is not None]
    if count is None or count >= len(having):
        return having
    return [having[place * len(having) // count] for place in range(count)]


def _study(run_dir: Path) -> StudySpec:
    """The study as it was run, to train one trial at a time in this process."""
    path = run_dir / layout.STUDY
    spec = parse(read_recorded(run_dir, layout.STUDY), str(path)).in_folder(study_folder(run_dir))
    kept = spec.checkpoints.model_copy(
        update={"keep_best": 1, "keep_best_report": False, "every_s": NEVER_S, "store": None}
    )
    if traits(spec).by_program:
        return spec
    changes = {
        "executor": ExecutorChoice(name="inline"),
        "cluster": "local",
        "lanes": 1,
        "checkpoints": kept,
        "loggers": (),
    }
    return spec.model_copy(update=changes)


def _provenance(run_dir: Path) -> Mapping[str, Any]:
    path = run_dir / layout.PROVENANCE
    return parse_provenance(path, read_recorded(run_dir, layout.PROVENANCE)) if path.exists() else {}


def _check_source(spec: StudySpec, run_dir: Path, provenance: Mapping[str, Any]) -> None:
    before = provenance.get("task_sha256")
    if before and before != task_hash(spec):
        raise RunDirError(
            f"{run_dir}: cannot replay: the source of task {spec.target} changed since the run. "
            "Restore it, or pass --accept-changed-task"
        )


def _check_reads(run_dir: Path, provenance: Mapping[str, Any], description: Description) -> None:
    before = provenance.get("reads", {})
    changed = [
        name
        for name, each in before.items()
        if description.reads.get(name, {}).get("sha256") != each["sha256"]
    ]
    if changed:
        raise RunDirError(
            f"{run_dir}: cannot replay: what its task reads changed since the run: {', '.join(changed)}. "
            "Restore it, or pass --accept-changed-task"
        )


def _notes(
    run_dir: Path, history: History, provenance: Mapping[str, Any], description: Description
) -> Iterator[str]:
    """What is another than it was, and may be why something differs."""
    before, now = provenance.get("versions", {}), versions()
    for name in ("python", "mlx", "numpy", "optuna", "sweep-mlx"):
        if name in before and before[name] != now.get(name):
            yield f"{name} was {before[name]}, is {now.get(name, 'not installed')}"
    chips = _chips(run_dir)
    if chips and description.chip not in chips:
        yield f"it was trained on {' and '.join(sorted(chips))}, is now on {description.chip}"
    yield from (f"{run_dir}: {each}" for each in history.damage)


def _chips(run_dir: Path) -> set[str]:
    batches = read_batches(run_dir / layout.LOG, kinds=("slot",), on_damage=lambda each: None)
    return {record["chip"] for batch in batches for record in batch if record["chip"]}
