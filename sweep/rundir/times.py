"""How long a study's trials took, or are assumed to take: the input of `sweep plan`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from runlog import layout
from runlog.reader import read_batches
from runlog.records import Record
from sweep.errors import RunDirError
from sweep.rundir.history import lane_time, read_history
from sweep.vocabulary.trial import Outcome, RunId

TRACES = 2
"""How often a program is traced at a width: a step that updates, and one that only accumulates."""


@dataclass(frozen=True)
class Times:
    """How long runs take: each trial's by number where a run was measured, else the same for all; seconds."""

    run_s: Mapping[int, float]
    typical_s: float
    compile_s: float = 0.0
    start_s: float = 0.0

    def of(self, run: RunId) -> float:
        return self.run_s.get(run.trial, self.typical_s)


def _compile_s(outcome: Outcome) -> float:
    return float(outcome.ledger.get("compile_s", 0.0))


def measured_times(run_dir: Path, replicates: int) -> Times:
    """What a run directory's trials took. Raises RunDirError where none has ended."""
    if not (run_dir / layout.LOG).is_file():
        raise RunDirError(f"{run_dir}: is not a run directory. Give the path of a run, such as runs/digits")
    history = read_history(run_dir)
    ended = [each for each in history.told.values() if lane_time(each) > _compile_s(each)]
    if not ended:
        raise RunDirError(f"{run_dir}: no trial has ended yet. Wait for one, or give the seconds of a trial")
    log = read_log(run_dir)
    compiles = {outcome.number: _compile_s(outcome) for outcome in ended}
    own = {
        outcome.number: (lane_time(outcome) - compiles[outcome.number]) * log.share(outcome.number)
        for outcome in ended
    }
    # Slots also build programs, load data and save: their time is more than that of the steps they took.
    compile_s = sum(seconds * log.share(number) for number, seconds in compiles.items())
    more = max(1.0, (log.working_s - compile_s) / sum(own.values()))
    work = {number: seconds * more / replicates for number, seconds in own.items()}
    programs = sum(float(outcome.ledger.get("traces", 0.0)) for outcome in ended) / TRACES
    return Times(work, fmean(work.values()), compile_s / max(programs, 1.0), log.start_s)


@dataclass
class SlotTimes:
    """What the log says of time: in lanes by trial, in slots, and until the first slot was there; seconds.

    Each lane of a step has an equal part of it for its own.
    """

    lane_s: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    own_s: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    working_s: float = 0.0
    start_s: float = 0.0

    def share(self, trial: int) -> float:
        lane_s = self.lane_s[trial]
        return self.own_s[trial] / lane_s if lane_s > 0 else 1.0


def read_log(run_dir: Path) -> SlotTimes:
    """The times of all sessions together."""
    log = SlotTimes()
    opened: float | None = None
    seen: dict[RunId, float] = {}
    kinds = ("opened", "slot", "report", "closed")
    for batch in read_batches(run_dir / layout.LOG, kinds=kinds, on_damage=lambda each: None):
        for record in batch:
            match record["event"]:
                case "opened" if opened is None:
                    opened = float(record["time"])
                case "slot" if opened is not None and not log.start_s:
                    log.start_s = max(0.0, float(record["time"]) - opened)
                case "report":
                    _enter_report(log, seen, record)
                case "closed":
                    log.working_s += record.get("ledger", {}).get("slots", {}).get("working_s", 0.0)
    return log


def _enter_report(log: SlotTimes, seen: dict[RunId, float], record: Record) -> None:
    run = RunId(record["trial"], record["replicate"])
    lane_s = record.get("lane_s", 0.0)
    spent_s = max(0.0, lane_s - seen.get(run, 0.0))  # a lost attempt's reports come again
    seen[run] = max(lane_s, seen.get(run, 0.0))
    log.lane_s[run.trial] += spent_s
    log.own_s[run.trial] += spent_s / record["width"]
