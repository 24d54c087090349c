"""What a session counts for a person to see: trials by how they ended, the best, examples, faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from runlog.ranking import Cost, cost
from sweep.driver.monitor.progress import BestSoFar, StudyView
from sweep.scheduler import Phase, State
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, Scalar
from sweep.vocabulary.turn import TurnResult


class Counters:
    """Trials of all sessions, examples and faults of this one."""

    def __init__(self, spec: StudySpec) -> None:
        self._budget = spec.budget.trials
        self._directions = [objective.direction for objective in spec.objective]
        self._ended: Counter[str] = Counter()
        self._earlier = 0
        self._best: BestSoFar | None = None
        self._lowest: Cost | None = None
        self._examples = 0
        self._faults = 0
        self._asked = ""

    def steer(self, spec: StudySpec) -> None:
        """The study has another budget."""
        self._budget = spec.budget.trials

    def answered(self, text: str) -> None:
        """What was asked last by hand, and what came of it."""
        self._asked = text

    def session_begins(self) -> None:
        """What was counted up to here had ended in earlier sessions."""
        self._earlier = self._ended.total()

    def ended(self, outcome: Outcome, params: Mapping[str, Scalar]) -> None:
        """Count a trial's end; with several objectives none is the best."""
        self._ended[outcome.state.value] += 1
        found = cost(outcome, self._directions)
        if found is None or outcome.values is None or len(found) > 1:
            return
        if self._lowest is None or found < self._lowest:
            self._lowest = found
            self._best = BestSoFar(outcome.number, outcome.values[0], params)

    def turn_done(self, result: TurnResult) -> None:
        self._examples += sum(spent.examples for spent in result.spent.values())
        self._faults += result.error is not None

    def worker_lost(self) -> None:
        self._faults += 1

    def view(self, state: State, elapsed_s: float) -> StudyView:
        """The study as it stands after so many seconds of this session."""
        slots = state.slots.values()
        return StudyView(
            ended=dict(self._ended),
            running=state.untold,
            budget=state.limits.trials if self._budget is not None else None,
            slots=len(slots),
            lanes=sum(len(slot.lanes) for slot in slots),
            lanes_busy=sum(slot.busy for slot in slots),
            slots_busy=sum(bool(slot.busy) for slot in slots),
            elapsed_s=elapsed_s,
            examples_per_s=self._examples / elapsed_s if elapsed_s else 0.0,
            best=self._best,
            stopping=state.phase is Phase.STOPPING,
            examples=self._examples,
            waiting=sum(map(len, state.waiting.values())),
            faults=self._faults,
            earlier=self._earlier,
            asked=self._asked,
        )
