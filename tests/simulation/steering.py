"""What a person asks of a study while it is simulated, at any moment, and what came of each request."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runlog import layout
from runlog.records import Record
from runlog.study import StudyState
from sweep.driver.steering import channel
from sweep.driver.steering.channel import Request
from sweep.driver.steering.waiting import Waiting, recorded_study
from sweep.rundir.rundir import RunDir
from sweep.scheduler.endings import FINISHED_BY_HAND, PRUNED_BY_HAND
from sweep.spec.schema import FloatRange, StudySpec
from sweep.vocabulary.trial import Outcome, RunId, TrialState
from tests.simulation.disk import SimulatedDisk
from tests.simulation.recipe import Asked
from tests.simulation.studies import EVERY

Require = Callable[[object, str], None]

if TYPE_CHECKING:
    from tests.simulation.history import History

NAME = "simulated"


class People:
    """They ask by files that another process writes: no death of the driver's touches them."""

    def __init__(self, history: History, disk: SimulatedDisk) -> None:
        self._history = history
        self._disk = disk
        self.asked: list[str] = []

    def ask(self, asked: Asked, spec: StudySpec) -> None:
        """One request, written whole."""
        self.submit(asked.verb, _arguments(asked, spec))

    def submit(self, verb: str, arguments: dict[str, Any]) -> None:
        verb = "set" if verb in SETS else verb
        request = Request(f"{len(self.asked):06d}", verb, arguments)
        self.asked.append(request.id)
        folder = f"{self._disk.root}/{NAME}/{layout.REQUESTS}"
        with self._disk.uninstalled():
            os.makedirs(folder, exist_ok=True)
            with open(f"{folder}/{request.id}.json", "wb") as file:
                file.write(channel.encoded(request))

    def resume(self, run: RunDir, spec: StudySpec) -> None:
        """A study that is paused is resumed, by the process that holds it."""
        self.submit("resume", {})
        Waiting(run, spec, lambda _: None, waits=True).answer_all()

    def answer_left(self) -> bool:
        """Once the study has ended, who asked too late answers by itself; whether there was any."""
        root = self._history.root
        if not channel.count(root / NAME):
            return False
        with RunDir.open(root, NAME, clock=self._history.wall) as run:
            Waiting(run, recorded_study(run), lambda _: None, waits=False).answer_all()
            run.commit()
        return True


SETS = ("budget", "lanes", "concurrency", "keep")


def _arguments(asked: Asked, spec: StudySpec) -> dict[str, Any]:
    pick = asked.pick
    match asked.verb:
        case "prune" | "finish":
            return {"trial": pick % 3}
        case "budget":
            return {"budget.trials": 1 + pick % 8}
        case "lanes":
            return {"lanes": 1 + pick % 4}
        case "concurrency":
            return {"max_concurrent": 1 + pick % 4}
        case "keep":
            return {"checkpoints.keep_best": pick % 3}
        case "enqueue":
            entry = spec.space["learning_rate"]
            rate = entry.low * (1 + pick / 200) if isinstance(entry, FloatRange) else 0.001
            return {"learning_rate": rate, **({"hidden": 1} if pick % 2 and "hidden" in spec.space else {})}
        case "tag":
            return {"trial": pick % 4, "tag": "star"}
        case _:
            return {}


def check(
    history: History,
    log: list[Record],
    told: dict[int, Outcome],
    study: StudyState,
    require: Require,
) -> None:
    """Each request has one answer, and what it accepted was done once."""
    recipe, asked = history.recipe, history.people.asked
    answers = [record for record in log if record["event"] == "request"]
    counts = Counter(record["id"] for record in answers)
    require(sorted(counts.elements()) == asked, f"each request is answered once: {counts}, {asked}")
    tried = Counter(record.get("enqueued") for record in log if record["event"] == "asked")
    withdrawn = {id for record in log if record["event"] == "withdrawn" for id in record["points"]}
    may_end_early = (
        recipe.patience is not None
        or any(each.verb == "budget" for each in recipe.requests)
        or any(each.kind in ("budget", "retry") for each in recipe.edits)
    )
    for record in answers:
        if not record["accepted"]:
            continue
        number = record["arguments"].get("trial")
        match record["verb"]:
            case "prune":
                outcome = told[number]
                by_hand = outcome.state is TrialState.PRUNED and outcome.reason == PRUNED_BY_HAND
                require(by_hand, f"trial {number} must be pruned by hand: {outcome}")
            case "finish" if told[number].reason == FINISHED_BY_HAND:
                _check_finished(history, log, told[number], require)
            case "enqueue":
                times = tried[record["id"]]
                never = record["id"] in withdrawn or may_end_early
                require(times == 1 or (times == 0 and never), f"a point is tried once: {record}, {times}")
    for record in log:
        if record["event"] == "asked" and "enqueued" in record:
            (point,) = (each["arguments"] for each in answers if each["id"] == record["enqueued"])
            require(point.items() <= record["params"].items(), f"the point that was asked for: {record}")
    ended = [each for each in told.values() if each.reason in (PRUNED_BY_HAND, FINISHED_BY_HAND)]
    ends = {
        record["arguments"]["trial"]
        for record in answers
        if record["accepted"] and record["verb"] in ("prune", "finish")
    }
    require({each.number for each in ended} <= ends, f"nothing ends by hand unasked: {ended}, {ends}")
    require(not study.steered.ends, f"all that was to end has ended: {study.steered.ends}")


def _check_finished(history: History, log: list[Record], outcome: Outcome, require: Require) -> None:
    """Its value is that of the last boundary that all its replicates had reached."""
    recipe = history.recipe
    seen = Counter(
        record["examples"]
        for record in log
        if record["event"] == "report" and record["trial"] == outcome.number
    )
    last = max(examples for examples, count in seen.items() if count == recipe.replicates)
    each = [history.value(RunId(outcome.number, replicate), last) for replicate in range(recipe.replicates)]
    mean = each[0] if len(each) == 1 else sum(each) / len(each)
    require(outcome.values == (mean,), f"trial {outcome.number} is {outcome.values}, not {mean} at {last}")
    require(last <= recipe.reports * EVERY, "no report is beyond the end")
