"""Requests to a study that runs: looked for, answered, and done at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf

from sweep.driver.checkpoint_collector import CheckpointCollector, policy_of
from sweep.driver.limits import limits, saving_of
from sweep.driver.monitor.counters import Counters
from sweep.driver.slots.releasing import Releasing
from sweep.driver.steering import channel
from sweep.driver.steering.channel import Request
from sweep.driver.steering.decisions import Decision, Standing, decide
from sweep.driver.steering.recording import is_answered, record
from sweep.driver.stopping import Stopping
from sweep.executors.choosing import traits
from sweep.rundir.null import NullRunDir
from sweep.rundir.rundir import RunDir
from sweep.scheduler import Phase, State
from sweep.scheduler.live import LiveTrial
from sweep.scheduler.messages import Event, Finish, Limited, Prune
from sweep.search.study import Study
from sweep.spec.resolve import resolved_text
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Outcome, TrialState

LOOK_EVERY_S = 0.1
"""How often requests are looked for: a folder is listed, which is mostly not there."""


@dataclass(frozen=True)
class Steered:
    """The parts of a session that requests change, and what they are judged by."""

    state: State
    study: Study
    stopping: Stopping
    collector: CheckpointCollector
    counters: Counters
    told: Mapping[int, Outcome]
    slots: int
    releasing: Releasing


class Steering:
    """The requests of one session; `pausing` once it is to end until it is resumed.

    `end` ends the session in order; `stopped_by` gives why no further trial is asked for.
    """

    def __init__(
        self,
        spec: StudySpec,
        description: Description,
        run: RunDir | NullRunDir,
        steered: Steered,
        *,
        end: Callable[[], None],
        stopped_by: Callable[[], str | None],
        say: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._spec = spec
        self._description = description
        self._run = run
        self._steered = steered
        self._end = end
        self._stopped_by = stopped_by
        self._say = say
        self._clock = clock
        self._looked = -inf
        self._saving = saving_of(spec)
        self._stops = False
        self._said: set[str] = set()
        self.pausing = False

    def left(self) -> list[Event]:
        """What earlier sessions accepted and did not do: ends of trials."""
        ends = self._run.history.study.steered.ends
        return [Prune(number) if verb == "prune" else Finish(number) for number, verb in ends.items()]

    def look(self) -> list[Event]:
        """Answer what was asked since the last look; what follows for the scheduler."""
        now = self._clock()
        if now - self._looked < LOOK_EVERY_S:
            return []
        self._looked = now
        events: list[Event] = []
        for request in channel.pending(self._run.path, self._damaged):
            if not is_answered(self._run, request):
                events += self._answer(request)
            channel.remove(self._run.path, request.id)
        return events

    def _answer(self, request: Request) -> list[Event]:
        decision = decide(request, self._standing())
        answered = record(self._run, request, decision)
        self._steered.counters.answered(str(answered))
        self._say(f"asked: {answered}")
        return self._done(request, decision) if decision.accepted else []

    def _done(self, request: Request, decision: Decision) -> list[Event]:
        match request.verb:
            case "set" if decision.spec is not None:
                return [self._set(decision.spec)]
            case "enqueue":
                self._steered.study.enqueue(request.id, decision.arguments)
            case "prune":
                return [Prune(decision.arguments["trial"])]
            case "finish":
                return [Finish(decision.arguments["trial"])]
            case "pause":
                self.pausing = True
                self._end()
            case "stop":
                self.pausing, self._stops = False, True
                self._end()
            case "tag":
                self._retain()
        return []

    def _set(self, spec: StudySpec) -> Limited:
        """Have every part go by the study as it is now; study.yaml says it, too."""
        parts, state = self._steered, self._steered.state
        self._spec = spec
        self._run.write_study(resolved_text(spec))
        parts.stopping.steer(spec)
        parts.study.steer(spec)
        parts.counters.steer(spec)
        parts.releasing.steer(spec)
        self._retain()
        before = state.limits
        found = limits(
            spec,
            self._description,
            slots=parts.slots,
            told=before.told,
            asked=before.asked,
            study=parts.study,
        )
        saving = saving_of(spec)
        found = replace(found, saving=saving if saving != self._saving else before.saving and saving)
        if traits(spec).by_program:  # it asks for each trial when it wants one
            found = replace(found, max_concurrent=before.max_concurrent)
        return Limited(found)

    def _retain(self) -> None:
        self._steered.collector.steer(policy_of(self._spec), self._run.history.study.steered.starred)

    def _standing(self) -> Standing:
        state = self._steered.state
        return Standing(
            run=str(self._run.path),
            spec=self._spec,
            steered=self._run.history.study.steered,
            ended={number: outcome.state.value for number, outcome in self._steered.told.items()}
            | dict.fromkeys(state.ending, TrialState.COMPLETE.value),
            live={number: _has_value(trial) for number, trial in state.trials.items()},
            used=state.used,
            ended_in_budget=state.limits.told + state.told + len(state.ending),
            saved={each.trial for each in self._run.checkpoints.kept},
            runs=state.phase is not Phase.STOPPING,
            waits=self.pausing,
            stops=self._stops or (state.phase is Phase.STOPPING and not self.pausing),
            began=self._run.opened,
            asks_no_more=self._stopped_by(),
            by_program=traits(self._spec).by_program,
        )

    def _damaged(self, text: str) -> None:
        if text not in self._said:  # a folder that cannot be read is looked at ten times a second
            self._said.add(text)
            self._run.record_message("warning", text)
            self._say(text)


def _has_value(trial: LiveTrial) -> bool:
    """Whether its runs have reported, so that it can end where they stand."""
    return bool(trial.passed) or (trial.plan.length.open and all(run.latest for run in trial.runs.values()))
