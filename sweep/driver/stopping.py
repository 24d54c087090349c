"""When to ask no further trials before the budget is spent: from what has ended, and for how long it took."""

from __future__ import annotations

from runlog.ranking import Cost, cost
from sweep.spec.order import lag_of
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, TrialState


class Stopping:
    """Follows the ends of trials, those of earlier sessions first."""

    def __init__(self, spec: StudySpec) -> None:
        self._stop = spec.stop
        self._time_s = spec.budget.time_s
        self._sign = 1.0 if spec.objective[0].direction == "minimize" else -1.0
        self._directions = [objective.direction for objective in spec.objective]
        self._best: Cost | None = None
        self._since_best = 0
        self._lag = lag_of(spec)
        self._unseen: dict[int, Outcome] = {}

    def steer(self, spec: StudySpec) -> None:
        """The study has other rules for its end."""
        self._stop, self._time_s = spec.stop, spec.budget.time_s

    def enter(self, outcome: Outcome) -> None:
        """One trial has ended; in a fixed order that counts once a trial is asked for that may see it."""
        if self._lag is None:
            self._count(outcome)
        else:
            self._unseen[outcome.number] = outcome

    def see(self, number: int) -> None:
        """The trial of this number is to be asked for: what it may see counts, in the order of numbers."""
        if self._lag is not None:
            for each in sorted(each for each in self._unseen if each <= number - self._lag):
                self._count(self._unseen.pop(each))

    def _count(self, outcome: Outcome) -> None:
        """What broke says nothing of how well the search goes."""
        broke = outcome.state is TrialState.FAIL and not outcome.diverged
        if broke or len(self._directions) > 1:
            return
        self._since_best += 1
        found = cost(outcome, self._directions)
        if found is not None and (self._best is None or found < self._best):
            self._best, self._since_best = found, 0

    def reason(self, elapsed_s: float) -> str | None:
        """Why to stop, in words; None where there is no reason. `elapsed_s` is the time of all sessions."""
        stop, best = self._stop, self._best
        if self._time_s is not None and elapsed_s > self._time_s:
            return "budget.time is spent"
        if stop.target is not None and best is not None and best[0] <= self._sign * stop.target:
            return f"stop.target {stop.target:g} is reached"
        if stop.patience is not None and self._since_best >= stop.patience:
            return f"{self._since_best} trials in a row brought nothing better (stop.patience)"
        return None
