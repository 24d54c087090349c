"""Resuming a study: what earlier sessions left in the log and in Optuna's storage, brought together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sweep.driver.trials import Trials
from sweep.rundir.history import UnfinishedTrial, read_reports
from sweep.rundir.null import NullRunDir
from sweep.rundir.rundir import RunDir
from sweep.scheduler.messages import Asked, Taken
from sweep.search.study import Study
from sweep.spec.population.stretches import is_passed
from sweep.vocabulary.trial import Outcome, Report, Snapshot, TrialPlan


@dataclass(frozen=True)
class Resumed:
    """`events` enter the unfinished trials; `unrecorded` are ends that only Optuna's storage knows."""

    events: tuple[Asked | Taken, ...]
    unrecorded: tuple[Outcome, ...]


class Resuming:
    """Brings Optuna up to the log, and unfinished trials back to the scheduler."""

    def __init__(self, run: RunDir | NullRunDir, study: Study, trials: Trials) -> None:
        self._run = run
        self._study = study
        self._trials = trials

    def resume(self) -> Resumed:
        """Every trial that an earlier session left unfinished; Optuna is told what only the log was told."""
        if self._study.is_in_order:
            self._catch_up()
        self._restore_journal()
        unfinished = self._run.history.unfinished
        known = self._study.storage.told()
        events: list[Asked | Taken] = []
        running = self._study.running(self._trials.params)
        ended = {each.number for each in running} & self._trials.told.keys()
        reports = read_reports(self._run.path, ended) if ended else {}
        for proposal in running:
            if (outcome := self._trials.told.get(proposal.number)) is not None:
                self._study.enter_reports(
                    proposal.number, self._trials.rows(reports.get(proposal.number, ()))
                )
                self._study.tell(outcome)
                continue
            trial_plan = self._trials.plan(proposal)
            if proposal.number in unfinished:
                events.append(self._taken(trial_plan, unfinished[proposal.number]))
            else:
                self._trials.record_asked(trial_plan, proposal)
                events.append(Asked((trial_plan,)))
        unrecorded = tuple(outcome for number, outcome in known.items() if number in unfinished)
        return Resumed(tuple(events), unrecorded)

    def _catch_up(self) -> None:
        """Tell the journal's trials to the end before later ones are restored: these are judged by them."""
        running = self._study.storage.running()
        known = [number for number in running if number in self._trials.params]
        reports = read_reports(self._run.path, set(known)) if known else {}
        for number in known:
            rows = self._trials.rows(reports.get(number, ()))
            self._study.catch_up(number, rows, self._trials.told.get(number))

    def _restore_journal(self) -> None:
        """Give Optuna the trials that the log holds and the journal lost: it may end a moment earlier."""
        trials, history = self._trials, self._run.history
        lost = sorted(number for number in trials.params if number >= self._study.storage.count)
        reports = read_reports(self._run.path, set(lost)) if lost else {}
        for number in lost:
            rows = trials.rows(reports.get(number, ()))
            values = [(examples, sum(row) / len(row)) for examples, row in rows]
            notes = history.study.trials[number].notes
            self._study.restore(number, trials.params[number], notes, values, trials.told.get(number))
        if self._study.follows_reports:
            self._follow()

    def _follow(self) -> None:
        """Show the pruner all that earlier sessions reported: Optuna's journal does not hold it."""
        trials = self._trials
        reports = read_reports(self._run.path, set(trials.params))
        for number in range(self._study.storage.count):
            self._study.follow(number, trials.rows(reports.get(number, ())), trials.told.get(number))

    def _taken(self, trial_plan: TrialPlan, found: UnfinishedTrial) -> Taken:
        """What the log knows of an unfinished trial, and Optuna brought up to it."""
        reports = by_replicate(found.reports)
        self._study.enter_reports(found.number, self._trials.rows(found.reports))
        recorded = {replicate: len(each) for replicate, each in reports.items()}
        length, start = trial_plan.length, trial_plan.start

        def is_covered(snapshot: Snapshot) -> bool:
            """Whether the log has all that the run reported before: a power cut may have taken the last."""
            if length.open:
                last = reports.get(snapshot.replicate, ())[-1:]
                return snapshot.examples <= (last[0].examples if last else 0)
            begun = length.boundaries(start[snapshot.replicate].examples) if start else 0
            return length.boundaries(snapshot.examples) <= begun + recorded.get(snapshot.replicate, 0)

        # The run writes those again, and retention would keep one of them instead of the one it resumes from.
        for snapshot in [each for each in self._run.checkpoints.kept if each.trial == found.number]:
            if not is_covered(snapshot):
                self._run.checkpoints.remove(snapshot.path)
        if not length.open:
            self._run.checkpoints.mark_final(found.number, at=length.examples)
        members = self._trials.members
        if members is not None:
            last = self._run.checkpoints.last_sound(
                lambda each: is_passed(trial_plan, each.trial, each.examples) and is_covered(each)
            )
            sound = {} if last is None else {0: last}
        else:
            of_runs = self._run.checkpoints.sound(found.number, is_covered)
            sound = {run.replicate: snapshot for run, snapshot in of_runs.items()}
        checkpoints = {
            replicate: replace(snapshot, path=str(self._run.path / snapshot.path))
            for replicate, snapshot in sound.items()
        }
        lane_s = {run.replicate: seconds for run, seconds in found.lane_s.items()}
        undecided = members is not None and members.is_undecided(found.number, found.reports)
        return Taken(trial_plan, reports, checkpoints, found.attempt + 1, lane_s, undecided)


def by_replicate(reports: Iterable[Report]) -> dict[int, tuple[Report, ...]]:
    """Each replicate's reports in order of examples."""
    rows: dict[int, tuple[Report, ...]] = {}
    for report in sorted(reports, key=lambda report: report.examples):
        rows[report.replicate] = (*rows.get(report.replicate, ()), report)
    return rows
