"""What a slot's next turn is: the program and width that it opens, the lanes that are loaded and dropped.

A slot's `lanes` are planned ahead: they show what will be once all turns given out are done.
"""

from __future__ import annotations

from sweep.scheduler import placement, queues, widths
from sweep.scheduler.live import QueueKey
from sweep.scheduler.slots import Flight, PlannedLane, Slot
from sweep.scheduler.state import Phase, State
from sweep.vocabulary.trial import RunId
from sweep.vocabulary.turn import Load, Turn

TURN_S = 0.05
"""A turn of several reports is meant to last no longer."""

MOST_REPORTS = 256
"""A turn of several brings no more, all lanes together: a long message makes the others wait."""

SOON_S = TURN_S / MOST_REPORTS
"""What takes less time than this takes none."""


def next_turn(state: State, slot: Slot, now: float) -> Turn | None:
    """The turn that the slot is given next; None where there is none for now."""
    if slot.released:
        return None
    if state.phase is Phase.STOPPING or slot.leave_by is not None:
        return _final_snapshot(state, slot)
    if state.waits(slot) and any(run.trial in state.unjudged for run in slot.holding):
        return None
    for index, lane in enumerate(slot.lanes):
        if lane is not None and lane.left <= 0:
            slot.lanes[index] = None
    if state.finishing and (ends := _take_ends(state, slot)):
        return _turn(state, slot, advance=False, ends=ends)
    if slot.occupied_lanes():
        moves = _resize(state, slot)
    else:
        key = queues.choose(state, slot)
        if key is None or state.asking:
            return None
        rates = widths.rates_for(state, slot, key)
        if rates is None:
            return _probe(state, slot, key)
        _open_program(state, slot, key, widths.best_width(rates, widths.runs_for(state, slot, key)))
        moves = ()
    loads = _fill(state, slot, now)
    if not slot.busy:
        return None
    reports = _reports(state, slot)
    for lane in slot.lanes:
        if lane is not None:
            lane.left -= reports
    return _turn(state, slot, loads, moves, reports=reports)


def flight(state: State, slot: Slot, turn: Turn) -> Flight:
    """What is remembered of a turn while it is out."""
    if turn.probe is not None:
        return Flight(1, {}, probes=turn.signature)
    runs = [state.run(lane.run) for lane in slot.lanes if lane is not None]
    runs += [state.run(id) for id in turn.ends]
    attempts = {run.id: run.attempt for run in runs if run is not None}
    return Flight(len(slot.lanes), attempts, ends=bool(turn.ends), reports=turn.reports, key=slot.key)


def _take_ends(state: State, slot: Slot) -> tuple[RunId, ...]:
    """The runs that a person ends where they stand, taken out of the plan: after the turns that are out."""
    ends = []
    for index, lane in enumerate(slot.lanes):
        if lane is not None and lane.run.trial in state.finishing:
            slot.lanes[index] = None
            slot.changes.pop(index, None)
            ends.append(lane.run)
    return tuple(ends)


def _turn(
    state: State,
    slot: Slot,
    loads: tuple[Load, ...] = (),
    moves: tuple[tuple[int, int], ...] = (),
    *,
    advance: bool = True,
    ends: tuple[RunId, ...] = (),
    reports: int = 1,
) -> Turn:
    assert slot.key is not None
    state.turns += 1
    state.widest = max(state.widest, len(slot.lanes))
    drops, saves = tuple(slot.drops), tuple(slot.saves)
    last = not advance and not ends  # what is not trained further needs no change
    changes = () if last else tuple(slot.changes.values())
    for done in (slot.drops, slot.saves, slot.changes):
        done.clear()
    return Turn(
        number=state.turns,
        signature=slot.key.signature,
        width=len(slot.lanes),
        saves=saves,
        changes=changes,
        moves=moves,
        drops=drops,
        loads=loads,
        advance=advance,
        ends=ends,
        reports=reports,
        saving=state.limits.saving,
    )


def _reports(state: State, slot: Slot) -> int:
    """How many reports of each lane the next turn brings: several where they come quickly.

    Nothing may depend on one of them: with a pruner, patience or a population each is waited for, and so it
    is where a run has just failed. No lane ends within a turn, and none stands idle.
    """
    limits = state.limits
    if slot.advance_s is None or limits.prunes or limits.patience is not None or limits.interval is not None:
        return 1
    lanes = [lane for lane in slot.lanes if lane is not None]
    runs = [state.run(lane.run) for lane in lanes]
    if any(run is None or run.length.open or run.losses or run.retried for run in runs):
        return 1
    left = min((lane.left for lane in lanes), default=1)
    quick = int(TURN_S / max(slot.advance_s, SOON_S))
    return max(1, min(left, quick, MOST_REPORTS // max(1, len(lanes))))


def _probe(state: State, slot: Slot, key: QueueKey) -> Turn | None:
    """Have the slot measure a program's widths, unless another one of its kind is at it."""
    flights = [flight for other in state.slots.values() for flight in other.in_flight.values()]
    if slot.in_flight or any(flight.probes == key.signature for flight in flights):
        return None
    state.turns += 1
    plan = state.trials[state.waiting[key][0].trial].plan
    probe = widths.probe(state, plan)
    return Turn(state.turns, key.signature, width=1, advance=False, probe=probe)


def _resize(state: State, slot: Slot) -> tuple[tuple[int, int], ...]:
    """Take the width that is best for the runs at hand, where that is worth it; the moves it takes."""
    assert slot.key is not None
    rates = widths.rates_for(state, slot, slot.key) or {}
    old = len(slot.lanes)
    runs = widths.runs_for(state, slot, slot.key)
    held = [index for index, lane in enumerate(slot.lanes) if lane is not None]
    fitting = {width: rate for width, rate in rates.items() if width >= len(held)}
    if not fitting or (old not in fitting and not widths.is_of_before(state, old)):
        return ()
    new = widths.best_width(fitting, runs)
    if old in fitting:
        gain = widths.useful_rate(fitting, new, runs) / widths.useful_rate(fitting, old, runs)
        if new == old or gain < widths.WORTH:
            return ()
    moves = tuple((index, place) for place, index in enumerate(held))
    lanes = [slot.lanes[index] for index in held]
    slot.lanes = [*lanes, *[None] * (new - len(lanes))]
    widths.recompute_wanted(state, slot)
    slot.drops.clear()  # only lanes that move are kept
    return moves


def _final_snapshot(state: State, slot: Slot) -> Turn | None:
    """A last turn that trains nothing and snapshots every lane, once nothing is in flight."""
    if slot.drained or slot.in_flight or not slot.holding or slot.key is None:
        return None
    slot.drained = True
    return _turn(state, slot, advance=False)


def _open_program(state: State, slot: Slot, key: QueueKey, width: int) -> None:
    population = (slot.key.signature, len(slot.lanes)) if slot.key is not None else None
    if population != (key.signature, width):
        slot.drops.clear()  # the lanes they belonged to are gone; another limit alone keeps them
        slot.saves.clear()
    if population is None or population[0] != key.signature:
        slot.advance_s = None  # another program may take far longer
    slot.key, slot.lanes = key, [None] * width
    widths.recompute_wanted(state, slot)


def _fill(state: State, slot: Slot, now: float) -> tuple[Load, ...]:
    assert slot.key is not None
    if state.limits.width is not None and len(slot.lanes) > state.limits.width:
        return ()  # a person asked for fewer: it shrinks once as few are left
    queue = state.waiting.get(slot.key)
    loads = []
    for index, lane in enumerate(slot.lanes):
        if lane is None and queue:
            id = placement.take(state, slot, slot.key.signature, queue)
            loads.append(_load(state, slot, index, id, now))
    if queue is not None and not queue:
        del state.waiting[slot.key]
    return tuple(loads)


def _load(state: State, slot: Slot, index: int, id: RunId, now: float) -> Load:
    trial = state.trials[id.trial]
    run = trial.runs[id.replicate]
    trial.add("queue_s", now - run.since)
    run.slot, run.waiting = slot.id, False
    slot.holding[id] = None
    slot.lanes[index] = PlannedLane(id, run.reports_left())
    path = run.checkpoint.path if run.checkpoint else None
    return Load(index, trial.plan, id.replicate, run.attempt, path)
