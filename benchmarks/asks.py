"""What an ask costs in the space of examples/digits, after so many trials: CPU time, not the clock's."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path

from sweep.search.study import Study
from sweep.spec.parse import parse
from sweep.vocabulary.trial import Length, Outcome, TrialState

STUDY = Path(__file__).parents[1] / "examples" / "digits" / "study.yaml"
LENGTH = Length(100, 10)


class Asks:
    """A study with its journal after `trials` that were drawn at random."""

    def __init__(self, folder: Path, *, sampler: str, trials: int) -> None:
        text = STUDY.read_text("utf-8").replace("sampler: {name: tpe}", f"sampler: {{name: {sampler}}}")
        self._values = random.Random(0)
        drawn = Study(parse(text.replace("{name: tpe", "{name: random"), str(STUDY)), folder / "j", LENGTH)
        for _ in range(trials):
            self._tell(drawn, [each.number for each in drawn.ask(1)])
        drawn.storage.commit()
        drawn.storage.close()
        self._study = Study(parse(text, str(STUDY)), folder / "j", LENGTH)

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


def ask_ms(*, trials: int, together: int, rounds: int, sampler: str = "tpe") -> float:
    """Milliseconds of CPU an ask."""
    with tempfile.TemporaryDirectory() as folder:
        asks = Asks(Path(folder), sampler=sampler, trials=trials)
        try:
            asks.cost_ms(together=together, rounds=3)  # what is made once
            return asks.cost_ms(together=together, rounds=rounds)
        finally:
            asks.close()
