"""What an ask costs in the space of examples/digits, after so many trials: CPU time, not the clock's."""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import before, measure
from benchmarks.measure import Benchmark
from sweep.search.study import Study
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Length, Outcome, TrialState

STUDY = Path(__file__).parents[1] / "examples" / "digits" / "study.yaml"
LENGTH = Length(100, 10)
UNCOUNTED = 3
"""Rounds in which is made what is made once."""

ROUNDS = {1: 20, 64: 9}
"""By how many are asked for at once: so many that the trials do not become many more."""

ASKS = (
    ("tpe", 1_000, 1, 0.5),
    ("tpe", 1_000, 64, 0.1),
    ("tpe", 5_000, 1, 1.2),
    ("tpe, exact: true", 1_000, 1, None),
)
"""Sampler, trials that have ended, how many asks at once, the most milliseconds of CPU that one may cost."""


class Asks:
    """A study with its journal after `trials` that were drawn at random."""

    def __init__(self, folder: Path, *, sampler: str, trials: int) -> None:
        self._values = random.Random(0)
        drawn = Study(_spec("random"), folder / "j", LENGTH)
        for _ in range(trials):
            self._tell(drawn, [each.number for each in drawn.ask(1)])
        drawn.storage.commit()
        drawn.storage.close()
        self._study = Study(_spec(sampler), folder / "j", LENGTH)

    def cost_ms(self, *, together: int, rounds: int) -> float:
        """Median over rounds of what each of so many asks costs; they are told in between."""
        costs = []
        for _ in range(rounds):
            began = time.process_time()
            proposals = self._study.ask(together)
            costs.append((time.process_time() - began) / together * 1e3)
            self._tell(self._study, [each.number for each in proposals])
            self._study.storage.commit()
        return statistics.median(costs)

    def close(self) -> None:
        self._study.storage.close()

    def _tell(self, study: Study, numbers: list[int]) -> None:
        for number in numbers:
            study.tell(Outcome(number, TrialState.COMPLETE, (self._values.random(),)))


def _spec(sampler: str) -> StudySpec:
    text = STUDY.read_text("utf-8").replace("sampler: {name: tpe}", f"sampler: {{name: {sampler}}}")
    return parse(text, str(STUDY))


def ask_ms(*, trials: int, together: int, rounds: int, sampler: str = "tpe") -> float:
    """Milliseconds of CPU an ask; `trials` have ended in the middle of the rounds, which add to them."""
    first = trials - together * (UNCOUNTED + rounds // 2)
    with tempfile.TemporaryDirectory() as folder:
        asks = Asks(Path(folder), sampler=sampler, trials=first)
        try:
            asks.cost_ms(together=together, rounds=UNCOUNTED)  # what is made once
            return asks.cost_ms(together=together, rounds=rounds)
        finally:
            asks.close()


def enter(benchmark: Benchmark, *, rounds: int, earlier: Path | None = None) -> None:
    """Measure all in turn, round by round, and judge them; `earlier` are another commit's files."""
    costs: dict[tuple[str, int, int], list[float]] = {}
    for _ in range(rounds):
        for sampler, trials, together, _bound in ASKS:
            case: dict[str, Any] = {"sampler": sampler, "trials": trials}
            case |= {"together": together, "rounds": ROUNDS[together]}
            if earlier is None:
                costs.setdefault((sampler, trials, together), []).append(ask_ms(**case))
                continue
            for suffix, tree in (("", before.ROOT), (before.SUFFIX, earlier)):
                cost = before.measured(tree, f"asks.ask_ms(**{case!r})")
                costs.setdefault((sampler + suffix, trials, together), []).append(cost)
    for (sampler, trials, together), values in costs.items():
        row = {"ask of": sampler, "trials": trials, "together": together}
        benchmark.enter({**row, "cpu_ms": statistics.median(values)})
    for sampler, trials, together, bound in ASKS:
        cost = statistics.median(costs[sampler, trials, together])
        if bound is not None:
            name = f"{sampler}: ms of CPU an ask at {trials} trials, {together} at once"
            benchmark.checks.append(measure.check(name, cost, bound=bound))


def main() -> int:
    """Measure and judge."""
    arguments = measure.arguments((__doc__ or "").splitlines()[0], rounds=3, before=True)
    benchmark = Benchmark("CPU time of an ask", packages=("optuna", "numpy"))
    with before.tree(arguments.before) as earlier:
        enter(benchmark, rounds=arguments.rounds, earlier=earlier)
    return benchmark.finish(as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
