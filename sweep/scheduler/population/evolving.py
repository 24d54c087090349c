"""Members that continue as another: by a copy within a slot, or from a checkpoint.

A member's plan says all that its state depends on, so a copy is only the short way. Where it cannot be made,
the member is loaded from the last checkpoint that its lineage passed, and trains from there to where it was.
"""

from __future__ import annotations

from collections.abc import Iterable

from sweep.scheduler import queues
from sweep.scheduler.live import ONLY, LiveRun, LiveTrial
from sweep.scheduler.messages import Evolved, Judged
from sweep.scheduler.population import checkpoints
from sweep.scheduler.slots import Slot
from sweep.scheduler.state import State
from sweep.spec.population.stretches import is_own
from sweep.vocabulary.trial import RunId
from sweep.vocabulary.turn import Change


def enter(state: State, judged: Judged, now: float) -> None:
    """Do what was decided; members that lead are saved where others may want their state."""
    for number in sorted(judged.leading):
        _save(state, number)
    for evolved in judged.evolved:
        trial = state.trials.get(evolved.plan.number)
        if trial is not None:
            _change(state, trial, evolved, now)
    checkpoints.forget(state)


def _change(state: State, trial: LiveTrial, evolved: Evolved, now: float) -> None:
    run = trial.runs[ONLY]
    trial.plan = evolved.plan
    run.checkpoint = checkpoints.last_known(state, evolved.plan)
    slot = state.slots.get(run.slot) if run.slot is not None else None
    if slot is None:
        return  # it waits, and is loaded by its new plan
    place = _standing(slot, run, evolved.examples)
    if evolved.source is None:
        source, can_copy = None, place is not None
    else:
        source = _source(state, slot, evolved)
        can_copy = place is not None and source is not None
    if can_copy and place is not None:
        slot.changes[place] = Change(place, evolved.plan, source)
    else:
        _reload(state, slot, run, now)


def _source(state: State, slot: Slot, evolved: Evolved) -> int | None:
    """The slot's lane that has the state to be copied; None where none has it.

    A member that took another's state since may stand there again, on its way through that one's lineage.
    """
    other = None if evolved.source is None else state.trials.get(evolved.source)
    if other is None or not is_own(other.plan, evolved.plan.past[-1].until):
        return None
    return _standing(slot, other.runs[ONLY], evolved.examples)


def _reload(state: State, slot: Slot, run: LiveRun, now: float) -> None:
    """Have a run loaded again, from its checkpoint."""
    lane = slot.vacate(run.id)
    if lane is not None:
        slot.drops.append(lane)
    run.slot, run.since = None, now
    run.attempt += 1
    queues.enqueue(state, run, first=True)


def _standing(slot: Slot, run: LiveRun, examples: int) -> int | None:
    """The slot's lane in which a run stands at a boundary, with nothing given out; None where it does not."""
    place = None if slot.in_flight else slot.place_of(run.id)
    lane = None if place is None else slot.lanes[place]
    if lane is None or run.length.reports - lane.left != run.length.boundaries(examples):
        return None
    return place


def _save(state: State, number: int) -> None:
    """Save a member that leads, where one that is elsewhere may still come to this boundary."""
    run = state.run(RunId(number, ONLY))
    slot = state.slots.get(run.slot) if run is not None and run.slot is not None else None
    if run is None or slot is None or all(each in slot.holding for each in _behind(state, run.recorded)):
        return
    place = _standing(slot, run, run.reported)
    if place is not None:
        slot.saves.append(place)


def _behind(state: State, recorded: int) -> Iterable[RunId]:
    """Members that have not been decided on at this boundary."""
    for trial in state.trials.values():
        run = trial.runs[ONLY]
        if run.recorded < recorded or (run.recorded == recorded and run.id.trial in state.unjudged):
            yield run.id
