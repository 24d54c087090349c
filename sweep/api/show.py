"""`sweep show`: all that a run directory knows of one trial, from its files alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from configfile.quantities import format_size
from runlog.checkpoints import read_checkpoints
from runlog.final import Final
from runlog.study import TrialRow
from sweep.api.status import load_study_state
from sweep.errors import RunDirError
from sweep.rundir.history import read_reports
from sweep.vocabulary.trial import Report


@dataclass(frozen=True)
class TrialView:
    """One trial; `rank` counts from 1 among those that ended well, None where it is not one of them.

    `checkpoints` gives the bytes of each that is kept, by path from the run directory or by URL in the store;
    `final` what was found of it once the study had finished; `tags` and
    `notes` are what a person wrote on it.
    """

    run: str
    trial: TrialRow
    objectives: tuple[tuple[str, str], ...]
    rank: int | None
    ranked: int
    reports: tuple[Report, ...]
    checkpoints: Mapping[str, int]
    damage: tuple[str, ...]
    final: Final | None = None
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        final = None if self.final is None else self.final.as_fields()
        return {**asdict(self), "reports": [vars(report) for report in self.reports], "final": final}

    def as_text(self) -> str:
        """Lines for a terminal; the table of reports is the command's."""
        row = self.trial
        named = zip(self.objectives, row.values or (), strict=False)
        values = "".join(f", {metric} {value:.6g}" for (metric, _), value in named)
        rank = f"; rank {self.rank} of {self.ranked}" if self.rank else ""
        fixed = {name: value for name, value in row.hyperparameters.items() if name not in row.params}
        lines = [f"{self.run}, trial {row.number}: {row.state.lower()}{values}{rank}"]
        if row.reason:
            lines.append(f"reason: {row.reason}")
        lines += [f"tags: {' '.join(self.tags)}"] if self.tags else []
        lines += [f"note: {text}" for text in self.notes]
        lines += _pairs("proposed", row.params)
        lines += _pairs("at last", row.evolved)
        lines += _pairs("fixed", fixed)
        lines += _pairs("ledger", row.ledger)
        lines += _pairs("test", {} if self.final is None else self.final.metrics)
        if not row.feasible:
            lines += _pairs("constraints broken by", {k: v for k, v in row.constraints.items() if v > 0})
        lines += [f"checkpoint: {path}, {format_size(size)}" for path, size in self.checkpoints.items()]
        lines += [f"damaged: {text}" for text in self.damage]
        return "\n".join(lines)


def read_trial(run_dir: str | Path, number: int) -> TrialView:
    """All of one trial. Raises RunDirError where there is no such run directory or trial in it."""
    run_dir = Path(run_dir)
    study, damage = load_study_state(run_dir)
    if number not in study.trials:
        has = f"trials 0 to {max(study.trials)} exist" if study.trials else "none exists yet"
        raise RunDirError(f"{run_dir}: no trial {number} ({has})")
    order = [row.number for row in study.best()]
    return TrialView(
        run=run_dir.resolve().name,
        trial=study.trials[number],
        objectives=tuple(study.objectives),
        rank=order.index(number) + 1 if number in order else None,
        ranked=len(order),
        reports=read_reports(run_dir, {number}).get(number, ()),
        checkpoints=dict(_checkpoints(run_dir, number)),
        damage=damage,
        final=study.final.get(number),
        tags=tuple(study.steered.tags.get(number, ())),
        notes=tuple(each.text for each in study.steered.remarks.get(number, ())),
    )


def _checkpoints(run_dir: Path, number: int) -> Iterator[tuple[str, int]]:
    """Those that are kept: by path in the run directory, or by URL in the store."""
    for each in read_checkpoints(run_dir, on_damage=lambda _: None):
        if each.snapshot.trial == number:
            yield each.url or each.snapshot.path, each.snapshot.bytes


def _pairs(title: str, values: Mapping[str, Any]) -> list[str]:
    texts = [
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in values.items()
        if value is not None
    ]
    return [f"{title}: {' '.join(texts)}"] if texts else []
