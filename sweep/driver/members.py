"""Members of a population: what is decided on them is recorded, and their plans follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan

from sweep.rundir.history import read_reports
from sweep.rundir.null import NullRunDir
from sweep.rundir.rundir import RunDir
from sweep.scheduler.messages import Evolved, Judge, Judged
from sweep.search.pbt.decisions import Decisions, Standing
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Report, Scalar, TrialPlan


class Members:
    """All members of all sessions, those that have ended too: others may still copy what they were."""

    def __init__(self, spec: StudySpec, description: Description, run: RunDir | NullRunDir) -> None:
        self._run = run
        self._metric = spec.objective[0].metric
        rows = run.history.study.trials
        self._asked: dict[int, Mapping[str, Scalar]] = {n: row.hyperparameters for n, row in rows.items()}
        self._plans: dict[int, TrialPlan] = {}
        self._lineage = run.history.study.lineage
        self._lineage.asked = self._asked.__getitem__
        self._decisions = Decisions(spec, description, self._lineage)
        for reports in read_reports(run.path, set(rows)).values() if rows else ():
            self._decisions.enter_reports(reports)

    def enter(self, plan: TrialPlan) -> TrialPlan:
        """A member that is asked, or resumed: its plan as it is by now."""
        self._asked.setdefault(plan.number, plan.hyperparameters)
        return self._evolved(plan)

    def is_undecided(self, number: int, reports: Sequence[Report]) -> bool:
        """Whether a member's last boundary was not decided on before a kill."""
        last = reports[-1].examples if reports else 0
        return last % self._decisions.interval == 0 and self._lineage.judged.get(number, 0) < last

    def decide(self, judges: Sequence[Judge], judged: Judged) -> Judged:
        """Decide on those that have come to a boundary; it is on disk before anything follows from it."""
        standing = [
            Standing(judge.number, judge.examples, judge.metrics.get(self._metric, nan))
            for judge in judges
            if not judge.last
        ]
        decided = self._decisions.decide(standing)
        if decided.judged:
            self._run.record_evolved(decided.judged, decided.changes)
            self._run.commit()
        evolved = tuple(
            Evolved(self._evolved(self._plans[change.trial]), change.examples, change.source)
            for change in decided.changes
        )
        return replace(judged, evolved=evolved, leading=decided.leading)

    def hyperparameters(self, number: int) -> Mapping[str, Scalar]:
        """A member's hyperparameters by now."""
        return self._lineage.now(number).hyperparameters

    def _evolved(self, plan: TrialPlan) -> TrialPlan:
        now = self._lineage.now(plan.number)
        evolved = replace(plan, past=now.past, hyperparameters=now.hyperparameters)
        self._plans[plan.number] = evolved
        return evolved
