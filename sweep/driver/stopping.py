"""When to ask no further trials before the budget is spent: from what has ended, and for how long it took."""

from __future__ import annotations

from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, TrialState


class Stopping:
    """Follows the ends of trials, those of earlier sessions first."""

    def __init__(self, spec: StudySpec) -> None:
        self._stop = spec.stop
        self._time_s = spec.budget.time_s
        self._sign = 1.0 if spec.objective[0].direction == "minimize" else -1.0
        self._single = len(spec.objective) == 1
        self._best_cost: float | None = None
        self._since_best = 0

    def enter(self, outcome: Outcome) -> None:
        """One trial has ended; failures say nothing of how well the search goes."""
        if outcome.state is TrialState.FAIL or not self._single:
            return
        self._since_best += 1
        if outcome.state is TrialState.COMPLETE and outcome.feasible and outcome.values:
            cost = self._sign * outcome.values[0]
            if self._best_cost is None or cost < self._best_cost:
                self._best_cost, self._since_best = cost, 0

    def reason(self, elapsed_s: float) -> str | None:
        """Why to stop, in words; None where there is no reason. `elapsed_s` is the time of all sessions."""
        stop, best = self._stop, self._best_cost
        if self._time_s is not None and elapsed_s > self._time_s:
            return "budget.time is spent"
        if stop.target is not None and best is not None and best <= self._sign * stop.target:
            return f"stop.target {stop.target:g} is reached"
        if stop.patience is not None and self._since_best >= stop.patience:
            return f"{self._since_best} trials in a row brought nothing better (stop.patience)"
        return None
