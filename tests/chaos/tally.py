"""What chaos did, and what of it can be seen in a run directory, which must be nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import analysis
from analysis import Run
from tests.logs import records


@dataclass
class Tally:
    """Kills by what was killed, and their traces in the end."""

    kills: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    duplicated: int = 0
    differing: int = 0

    @property
    def traces(self) -> int:
        return self.lost + self.duplicated + self.differing

    @property
    def clean(self) -> bool:
        return not self.traces

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        verbs = ", ".join(f"{count} {verb}" for verb, count in sorted(self.requests.items()))
        return (
            f"kills: {self.kills.total()} ({kinds}); requests: {self.requests.total()} ({verbs}); "
            f"lost: {self.lost}, duplicated: {self.duplicated}, differing: {self.differing}"
        )


def compare(
    disturbed: Path, undisturbed: Path, tally: Tally, *, trials: int, apart: Collection[int] = ()
) -> None:
    """Enter what is lost, double or different between two run directories; tables bit for bit.

    Trials that stand `apart` were decided on by people, and are not compared; nor are those beyond `trials`.
    A run directory in which there is such a trace is kept, for a person to look into.
    """
    before = tally.traces
    here, there = analysis.load(disturbed), analysis.load(undisturbed)
    mine = {row.number: row for row in here.trials.itertuples()}
    theirs = {row.number: row for row in there.trials.itertuples()}
    assert len(theirs) == trials, f"{undisturbed}: {len(theirs)} trials"
    tally.lost += len(theirs.keys() - mine.keys())
    both = (mine.keys() & theirs.keys()) - {*apart}
    tally.differing += sum(not _same_trial(mine[number], theirs[number]) for number in both)
    rows = [_metric_rows(run, apart, trials) for run in (here, there)]
    tally.lost += len(rows[1].keys() - rows[0].keys())
    tally.differing += sum(rows[0][key] != rows[1][key] for key in rows[0].keys() & rows[1].keys())
    keys = here.metrics[["trial", "replicate", "examples"]]
    tally.duplicated += len(keys) - len(keys.drop_duplicates()) + doubles(disturbed)
    complete = {trial.number for trial in _optuna(disturbed) if trial.state.name == "COMPLETE"}
    tally.lost += len(theirs.keys() - {*apart} - complete)
    if tally.traces > before:
        for row in here.trials.query("state != 'COMPLETE'").itertuples():
            print(f"  {disturbed.name}: trial {row.number}: {row.state}: {row.reason}", flush=True)
        kept = shutil.copytree(disturbed, Path(tempfile.mkdtemp(prefix="chaos-"), disturbed.name))
        print(f"  {disturbed.name} is kept: {kept}", flush=True)


def _same_trial(one: object, other: object) -> bool:
    names = ("state", "value", "params_learning_rate", "params_accumulation_steps")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _metric_rows(
    run: Run, apart: Collection[int], trials: int
) -> dict[tuple[int, int, int], tuple[float, float]]:
    rows = run.metrics
    rows = rows[~rows.trial.isin(apart) & (rows.trial < trials)]
    keys = zip(rows.trial, rows.replicate, rows.examples, strict=True)
    return dict(zip(keys, zip(rows.train_loss, rows.validation_loss, strict=True), strict=True))


def doubles(run_dir: Path) -> int:
    """Trials asked or told more than once, reports recorded more than once."""
    counts = Counter(
        (kind, record["trial"], record.get("replicate"), record.get("examples"))
        for kind in ("asked", "report", "told")
        for record in records(run_dir, kind)
    )
    return sum(count - 1 for count in counts.values())


def _optuna(run_dir: Path) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(run_dir / "optuna.journal")))
    return optuna.load_study(study_name=run_dir.name, storage=storage).trials
