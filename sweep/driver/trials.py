"""The trials of a study: what Optuna proposes becomes plans, and what they report reaches Optuna."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import nan

from sweep.driver.extension import Extension
from sweep.driver.members import Members
from sweep.rundir.history import boundary_rows
from sweep.rundir.null import NullRunDir
from sweep.rundir.rundir import RunDir
from sweep.scheduler.messages import Asked, Judge, Judged
from sweep.search.study import Proposal, Study
from sweep.spec.plans import plan
from sweep.spec.population.settings import population_of
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import BoundaryRow, Outcome, Report, Scalar, TrialPlan


class Trials:
    """All trials of all sessions by number: `params` of those asked, `told` of those that have ended."""

    def __init__(
        self, spec: StudySpec, description: Description, run: RunDir | NullRunDir, study: Study
    ) -> None:
        self._spec = spec
        self._description = description
        self._run = run
        self._study = study
        self._extension = None if spec.extends is None else Extension(spec)
        self.members = None if population_of(spec) is None else Members(spec, description, run)
        self._metric = spec.pruner.metric or spec.objective[0].metric
        self._strays = {each.trial for each in run.checkpoints.kept} - run.history.study.trials.keys()
        self.told: dict[int, Outcome] = {}
        self.params: dict[int, Mapping[str, Scalar]] = {
            number: row.params for number, row in run.history.study.trials.items()
        }

    def ask(self, count: int) -> Asked:
        """Up to `count` further trials, recorded in the log."""
        plans = []
        for proposal in self._study.ask(count):
            trial_plan = self.plan(proposal)
            self.record_asked(trial_plan, proposal)
            plans.append(trial_plan)
        return Asked(tuple(plans), exhausted=self._study.exhausted)

    def plan(self, proposal: Proposal) -> TrialPlan:
        """What to train for a proposal; a trial that was asked before keeps its hyperparameters."""
        self.params[proposal.number] = proposal.params
        unfinished = self._run.history.unfinished.get(proposal.number)
        asked = None if unfinished is None else unfinished.hyperparameters
        made = plan(self._spec, self._description, proposal.number, proposal.params, asked=asked)
        if self.members is not None:
            return self.members.enter(made)
        return made if self._extension is None else self._extension.apply(made)

    def record_asked(self, trial_plan: TrialPlan, proposal: Proposal) -> None:
        """Record a new trial, and the one that it extends or tries again.

        A power cut may have taken the record of an earlier trial of its number and left its checkpoints.
        """
        if proposal.number in self._strays:
            for each in [each for each in self._run.checkpoints.kept if each.trial == proposal.number]:
                self._run.checkpoints.remove(each.path)
        extension = self._extension
        parent = None if extension is None else extension.parents[proposal.number]
        origin = None if parent is None else (parent.run, parent.trial)
        self._run.record_asked(
            trial_plan, proposal.params, proposal.notes, origin, proposal.retries, proposal.enqueued
        )

    def judge(self, judges: Sequence[Judge], *, prunes: bool) -> Judged:
        """Enter all reports that arrived together, then judge each trial once, in number order."""
        judges = sorted(judges, key=lambda judge: (judge.number, judge.examples))
        for judge in judges:
            values = tuple(metrics.get(self._metric, nan) for metrics in judge.replicates)
            self._study.report(judge.number, (judge.examples, values))
        last = {judge.number: judge for judge in judges} if prunes else {}
        pruned = [
            number
            for number, judge in last.items()
            if self._study.should_prune(number, judge.examples) and not judge.last
        ]
        judged = Judged(frozenset(judge.number for judge in judges), tuple(pruned))
        return judged if self.members is None else self.members.decide(judges, judged)

    def final_params(self, number: int) -> Mapping[str, Scalar]:
        """What a trial was asked with; of a member of a population what that is by now."""
        params = self.params[number]
        if self.members is None:
            return params
        return {name: self.members.hyperparameters(number)[name] for name in params}

    def rows(self, reports: Iterable[Report]) -> list[BoundaryRow]:
        """What the pruner goes by, at each boundary that all replicates have reached."""
        return boundary_rows(reports, self._metric, self._spec.trial.replicates)
