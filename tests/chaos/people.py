"""What people ask of a study by hand while it is killed again and again, and what is left to see of that."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

from sweep.driver.steering import channel
from sweep.driver.steering.channel import Request
from sweep.driver.steering.waiting import answer_unheld
from sweep.scheduler.endings import FINISHED_BY_HAND, PRUNED_BY_HAND
from sweep.spec.parse import load
from tests.chaos.tally import Tally
from tests.logs import records

VERBS = {
    "prune": 3, "finish": 3, "enqueue": 2, "budget": 2, "lanes": 1, "every": 1, "note": 1, "tag": 2,
    "pause": 1, "stop": 1,
}  # fmt: skip
"""What is asked, and how often of so many times; each pause is followed by a `resume`."""

SETS = {"budget": "budget.trials", "lanes": "lanes", "every": "checkpoints.every"}


class People:
    """They write requests beside the run, as the command does in a process of its own."""

    def __init__(self, run_dir: Path, chance: random.Random, *, trials: int, most: int) -> None:
        self._run_dir = run_dir
        self._chance = chance
        self._trials = trials
        self._left = most
        self._pauses = False
        self.asked: list[Request] = []

    def ask(self) -> None:
        """Ask something, where there is a run to ask and something is left to be asked."""
        if not (self._run_dir / "log.jsonl").is_file():
            return
        if self._pauses:
            self._submit("resume", {})
            self._pauses = False
        elif self._left:
            self._left -= 1
            verb = self._chance.choices([*VERBS], [*VERBS.values()])[0]
            if (arguments := self._arguments(verb)) is not None:
                self._submit("set" if verb in SETS else verb, arguments)
                self._pauses = verb == "pause"

    def _submit(self, verb: str, arguments: dict[str, Any]) -> None:
        self.asked.append(channel.submit(self._run_dir, verb, arguments))

    def _arguments(self, verb: str) -> dict[str, Any] | None:
        """What goes with a verb; None where nothing runs that could be meant."""
        place, chance = len(self.asked), self._chance
        match verb:
            case "prune" | "finish" | "tag":
                told = {record["trial"] for record in records(self._run_dir, "told")}
                live = {record["trial"] for record in records(self._run_dir, "asked")} - told
                named = {"tag": "star"} if verb == "tag" else {}
                return {"trial": chance.choice(sorted(live)), **named} if live else None
            case "enqueue":
                return {"learning_rate": 0.002 + place / 1e5}
            case "budget":
                self._trials += chance.randrange(1, 4)
                return {SETS[verb]: self._trials}
            case "lanes":
                return {SETS[verb]: chance.randrange(1, 4)}
            case "every":
                return {SETS[verb]: f"{chance.choice((0.05, 0.2))}s"}
            case "note":
                return {"text": f"note {place}"}
            case _:
                return {}

    def is_over(self) -> bool:
        """Whether the study has come to its end, once all that is left of the requests is answered."""
        answer_unheld(self._run_dir, lambda _: None)
        closed = [record["reason"] for record in records(self._run_dir, "closed")]
        told = {record["trial"] for record in records(self._run_dir, "told")}
        return closed[-1:] == ["finished"] and len(told) == load(self._run_dir / "study.yaml").budget.trials

    def check(self, tally: Tally) -> set[int]:
        """Enter requests that are lost, or were done twice or unasked; the trials that others decided on."""
        answers = records(self._run_dir, "request")
        counts = Counter(record["id"] for record in answers)
        asked = {request.id for request in self.asked}
        tally.requests.update(request.verb for request in self.asked)
        tally.lost += len(asked - counts.keys()) + channel.count(self._run_dir)
        tally.duplicated += sum(counts.values()) - len(counts) + len(counts.keys() - asked)
        accepted = [record for record in answers if record["accepted"]]
        ends = {record["arguments"]["trial"]: record["verb"] for record in accepted if record["verb"] in ENDS}
        told = {record["trial"]: record for record in records(self._run_dir, "told")}
        for number, verb in ends.items():
            tally.lost += told[number]["reason"] != ENDS[verb] and not _ended_by_itself(told[number], verb)
        by_hand = {number for number, record in told.items() if record["reason"] in ENDS.values()}
        tally.duplicated += len(by_hand - ends.keys())
        tried = Counter(record.get("enqueued") for record in records(self._run_dir, "asked"))
        points = {record["id"]: record["arguments"] for record in accepted if record["verb"] == "enqueue"}
        tally.lost += sum(not tried[id] for id in points)
        tally.duplicated += sum(max(0, tried[id] - 1) for id in points)
        budgets = [record["arguments"].get("budget.trials") for record in accepted if record["verb"] == "set"]
        budget = [each for each in budgets if each is not None][-1:]
        tally.lost += budget not in ([], [len(told)])
        enqueued = (each for each in records(self._run_dir, "asked") if "enqueued" in each)
        return {*ends, *(each["trial"] for each in enqueued)}


ENDS = {"prune": PRUNED_BY_HAND, "finish": FINISHED_BY_HAND}


def _ended_by_itself(told: dict[str, Any], verb: str) -> bool:
    """A trial that was to finish may have come to its end before its worker heard of it."""
    return verb == "finish" and told["state"] == "COMPLETE" and told["reason"] is None
