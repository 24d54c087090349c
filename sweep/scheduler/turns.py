"""What each slot does next, and how many trials are asked for.

A slot's `lanes` are planned ahead: the next turn is given out while the last one runs, since which lanes
will be free is known beforehand. Where a pruner may end one of them the slot waits for the verdict if an
advance is long compared with a round trip, and otherwise what came too late is discarded.
"""

from __future__ import annotations

from collections import deque

from sweep.scheduler import placement, widths
from sweep.scheduler.messages import Ask, Instruction, RunTurn
from sweep.scheduler.state import Flight, Lane, Phase, QueueKey, Run, Slot, State
from sweep.vocabulary.trial import RunId
from sweep.vocabulary.turn import Load, Turn

STORED_PROGRAMS = 8
"""For how many programs' lanes trials are asked ahead, where that costs nothing."""

WAIT_FOR_VERDICTS = 20
"""A slot waits for verdicts where an advance lasts this many round trips or more."""


def enqueue(state: State, run: Run, *, first: bool = False) -> None:
    """Let a run wait for a lane."""
    run.waiting = True
    queue = state.waiting.setdefault(run.key, deque())
    if first:
        queue.appendleft(run.id)
    else:
        queue.append(run.id)


def unqueue(state: State, run: Run) -> None:
    """Let it wait no longer, if it does."""
    if run.waiting:
        run.waiting = False
        queue = state.waiting[run.key]
        queue.remove(run.id)
        if not queue:
            del state.waiting[run.key]


def ask(state: State, out: list[Instruction]) -> None:
    """Keep all lanes busy, with a store so that a freed lane finds a trial of its program at once."""
    if not state.may_ask or not state.slots:
        return
    limits = state.limits
    lanes = widths.lanes_wanted(state)
    store = lanes * min(limits.programs, STORED_PROGRAMS) if limits.ahead else len(state.slots)
    want = -(-(lanes + store) // limits.replicates) - len(state.trials)
    if limits.max_concurrent is not None:
        want = min(want, limits.max_concurrent - len(state.trials))
    want = min(want, limits.trials - state.used)
    if want > 0:
        state.asking = True
        out.append(Ask(want))


def feed(state: State, now: float, out: list[Instruction]) -> None:
    """Give turns to every slot that can take one; those that only want runs are looked at when some wait.

    No slot is given a second turn while another one stands idle.
    """
    for slot_id in list(state.open_slots):
        _feed_slot(state, state.slots[slot_id], 1, now, out)
    _feed_hungry(state, state.idle_slots, 1, now, out)
    for slot_id in list(state.open_slots):
        _feed_slot(state, state.slots[slot_id], 2, now, out)
    _feed_hungry(state, state.idle_slots, 2, now, out)
    _feed_hungry(state, state.hungry_slots, 2, now, out)


def _feed_hungry(state: State, slots: dict[str, None], most: int, now: float, out: list[Instruction]) -> None:
    if not state.waiting or state.asking:
        return
    for slot_id in list(slots):
        _feed_slot(state, state.slots[slot_id], most, now, out)
        if not state.waiting:
            return


def open_slot(state: State, slot: Slot) -> None:
    """The slot may be able to take a turn."""
    close_slot(state, slot)
    state.open_slots[slot.id] = None


def close_slot(state: State, slot: Slot) -> None:
    """The slot is not to be looked at."""
    for slots in (state.open_slots, state.hungry_slots, state.idle_slots):
        slots.pop(slot.id, None)


def _feed_slot(state: State, slot: Slot, most: int, now: float, out: list[Instruction]) -> None:
    """Give it as many turns as it may have, `most` for now."""
    while len(slot.in_flight) < min(_depth(state, slot), most):
        turn = _next_turn(state, slot, now)
        if turn is None:
            if _is_hungry(state, slot):
                close_slot(state, slot)
                (state.hungry_slots if slot.in_flight else state.idle_slots)[slot.id] = None
            return
        if not slot.in_flight:
            slot.started = now
        slot.in_flight[turn.number] = _flight(state, slot, turn)
        out.append(RunTurn(slot.id, turn))
    if len(slot.in_flight) >= _depth(state, slot):
        close_slot(state, slot)
    elif slot.id not in state.open_slots:
        open_slot(state, slot)


def _is_hungry(state: State, slot: Slot) -> bool:
    """Whether only a run that waits could give the slot something to do."""
    judged = not (slot.waits and any(run.trial in state.unjudged for run in slot.holding))
    return judged and state.phase is not Phase.STOPPING and not slot.occupied_lanes()


def _flight(state: State, slot: Slot, turn: Turn) -> Flight:
    if turn.probe is not None:
        return Flight(1, {}, probes=turn.signature)
    runs = [state.run(lane.run) for lane in slot.lanes if lane is not None]
    return Flight(len(slot.lanes), {run.id: run.attempt for run in runs if run is not None})


def _depth(state: State, slot: Slot) -> int:
    """How many turns may be out at once: with two the worker never waits."""
    waits = slot.waits and any(_verdict_is_due(state, id) for id in slot.holding)
    return 1 if waits or state.phase is Phase.STOPPING else 2


def _verdict_is_due(state: State, id: RunId) -> bool:
    """Whether the run may be pruned at its next report."""
    run = state.run(id)
    return run is not None and state.limits.may_prune(run.length, run.expected())


def _next_turn(state: State, slot: Slot, now: float) -> Turn | None:
    if state.phase is Phase.STOPPING:
        return _parting_turn(state, slot)
    if slot.waits and any(run.trial in state.unjudged for run in slot.holding):
        return None
    for index, lane in enumerate(slot.lanes):
        if lane is not None and lane.left <= 0:
            slot.lanes[index] = None
    if slot.occupied_lanes():
        moves = _resize(state, slot)
    else:
        key = _choose_program(state, slot)
        if key is None or state.asking:
            return None
        rates = widths.rates_for(state, slot, key)
        if rates is None:
            return _probe(state, slot, key)
        _open_program(state, slot, key, widths.best_width(rates, widths.runs_for(state, slot, key)))
        moves = ()
    loads = _fill(state, slot, now)
    for lane in slot.lanes:
        if lane is not None:
            lane.left -= 1
    return _turn(state, slot, loads, moves) if slot.busy else None


def _turn(
    state: State,
    slot: Slot,
    loads: tuple[Load, ...] = (),
    moves: tuple[tuple[int, int], ...] = (),
    *,
    advance: bool = True,
) -> Turn:
    assert slot.key is not None
    state.turns += 1
    state.widest = max(state.widest, len(slot.lanes))
    drops = tuple(slot.drops)
    slot.drops.clear()
    return Turn(
        number=state.turns,
        signature=slot.key.signature,
        width=len(slot.lanes),
        moves=moves,
        drops=drops,
        loads=loads,
        advance=advance,
        snapshot_all=not advance,
    )


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
    if old not in fitting:
        return ()
    new = widths.best_width(fitting, runs)
    gain = widths.useful_rate(fitting, new, runs) / widths.useful_rate(fitting, old, runs)
    if new == old or gain < widths.WORTH:
        return ()
    moves = tuple((index, place) for place, index in enumerate(held))
    lanes = [slot.lanes[index] for index in held]
    slot.lanes = [*lanes, *[None] * (new - len(lanes))]
    widths.wants_anew(state, slot)
    slot.drops.clear()  # only lanes that move go on
    return moves


def _parting_turn(state: State, slot: Slot) -> Turn | None:
    """One last turn that trains nothing and snapshots all, once nothing is in flight."""
    if slot.parked or slot.in_flight or not slot.holding or slot.key is None:
        return None
    slot.parked = True
    return _turn(state, slot, advance=False)


def _choose_program(state: State, slot: Slot) -> QueueKey | None:
    """The slot's own as long as runs wait for it, else the one that most wait for; None where none do."""
    if slot.key is not None and slot.key in state.waiting and placement.fits(state, slot, slot.key.signature):
        return slot.key
    return _fullest(state, slot)


def _open_program(state: State, slot: Slot, key: QueueKey, width: int) -> None:
    population = (slot.key.signature, len(slot.lanes)) if slot.key is not None else None
    if population != (key.signature, width):
        slot.drops.clear()  # the lanes they belonged to are gone; another limit alone keeps them
    slot.key, slot.lanes = key, [None] * width
    widths.wants_anew(state, slot)


def _fullest(state: State, slot: Slot) -> QueueKey | None:
    """The queue with most runs that the slot may have; of equal ones that whose head is the oldest trial."""
    waiting = [
        (len(queue), -queue[0].trial, key)
        for key, queue in state.waiting.items()
        if placement.fits(state, slot, key.signature)
    ]
    return max(waiting, key=lambda entry: entry[:2])[2] if waiting else None


def _fill(state: State, slot: Slot, now: float) -> tuple[Load, ...]:
    assert slot.key is not None
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
    slot.lanes[index] = Lane(id, run.reports_left())
    path = run.checkpoint.path if run.checkpoint else None
    return Load(index, trial.plan, id.replicate, run.attempt, path)
