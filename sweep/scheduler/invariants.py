"""What must hold between transitions, over plain parts of the state; for tests: each check reads all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from sweep.scheduler.live import LiveRun, LiveTrial, QueueKey
from sweep.scheduler.slots import Flight, PlannedLane, Slot
from sweep.vocabulary.trial import RunId

Trials = Mapping[int, LiveTrial]
Slots = Mapping[str, Slot]
Queues = Mapping[QueueKey, Collection[RunId]]
Group = Mapping[str, None]


def require(holds: object, invariant: str, found: object) -> None:
    """Raise AssertionError with the invariant's name and what breaks it."""
    if not holds:
        raise AssertionError(f"broken invariant: {invariant}; found {found}")


def check_runs(trials: Trials, slots: Slots, waiting: Queues) -> None:
    """Every run is in one place: a queue, a slot, or finished; and it has recorded what it must have."""
    queued = Counter(id for queue in waiting.values() for id in queue)
    held = Counter(id for slot in slots.values() for id in slot.holding)
    for id in (*queued, *held):
        require(_run(trials, id), "only live runs wait or are held", id)
    for key, queue in waiting.items():
        require(queue, "no queue is empty", key)
        for id in queue:
            run = _run(trials, id)
            require(run and run.key == key and run.waiting, "a queue holds waiting runs of its key", run)
    for trial in trials.values():
        require(not trial.finished, "a trial whose runs are all finished is told", trial.plan.number)
        for run in trial.runs.values():
            places = (queued[run.id], held[run.id], int(run.finished))
            require(sum(places) == 1, "a run is in one place: queue, slot or finished", (run, places))
            require(run.waiting == bool(queued[run.id]), "a run that waits is in a queue", run)
            holder = slots.get(run.slot) if run.slot is not None else None
            holds = run.slot is None if not held[run.id] else holder is not None and run.id in holder.holding
            require(holds, "a run names the slot that holds it", run)
        _check_reports(trial)


def _check_reports(trial: LiveTrial) -> None:
    for run in trial.runs.values():
        reports = run.length.reports
        require(run.recorded <= reports, "a run records no more reports than its length has", run)
        require(
            not run.finished or run.recorded == reports, "a finished run has recorded all its reports", run
        )
        stands = run.length.boundaries(run.seen)
        require(stands <= run.recorded, "a checkpoint stands nowhere beyond the recorded reports", run)
        require(run.key.limit is None or run.key.limit >= 1, "a limit on the width is at least 1", run)
    for examples, row in trial.boundaries.items():
        incomplete = row.keys() < trial.runs.keys()
        require(
            incomplete, "a boundary waits only until all replicates reach it", (trial.plan.number, examples)
        )


def check_slots(trials: Trials, slots: Slots, turns: int) -> None:
    """Lanes, turns out and held runs of a slot agree."""
    for slot in slots.values():
        lanes = [lane for lane in slot.lanes if lane is not None]
        counts = Counter(lane.run for lane in lanes)
        require(max(counts.values(), default=1) == 1, "a run is in one lane", slot)
        for lane in lanes:
            _check_lane(trials, slot, lane)
        free = all(0 <= index < len(slot.lanes) and slot.lanes[index] is None for index in slot.drops)
        require(
            free and len(set(slot.drops)) == len(slot.drops), "a dropped lane is free, and dropped once", slot
        )
        require((slot.key is None) == (not slot.lanes), "a slot has lanes once it has a program", slot)
        numbers = list(slot.in_flight)
        require(numbers == sorted(numbers) and len(numbers) <= 2, "at most two turns are out, in order", slot)
        require(all(number <= turns for number in numbers), "turns are numbered from the count", slot)
        for flight in slot.in_flight.values():
            _check_flight(trials, slot, flight)
        flying = {id for flight in slot.in_flight.values() for id in flight.runs}
        lost = [id for id in slot.holding if id not in counts and id not in flying]
        require(not lost, "a held run is in a lane or in a turn that is out", (slot, lost))


def _check_lane(trials: Trials, slot: Slot, lane: PlannedLane) -> None:
    run = _run(trials, lane.run)
    require(run and lane.run in slot.holding, "a lane holds a live run that its slot holds", (slot, lane))
    require(lane.left >= 0, "a lane has no fewer than 0 advances left", (slot, lane))


def _check_flight(trials: Trials, slot: Slot, flight: Flight) -> None:
    require(flight.width >= max(1, len(flight.runs)), "a turn is as wide as its runs need", (slot, flight))
    probes_first = flight.probes is None or flight is next(iter(slot.in_flight.values()))
    require(probes_first, "a slot measures widths before all other turns that are out", slot)
    for id, attempt in flight.runs.items():
        run = _run(trials, id)
        require(run is None or attempt <= run.attempt, "no turn is ahead of its run's attempts", (slot, run))


def check_looked_at(slots: Slots, opened: Group, starved: Group, idle: Group) -> None:
    """A slot is in one group at most; one with no turn out is in one, or nothing would ever feed it."""
    members = Counter(id for group in (opened, starved, idle) for id in group)
    require(
        members.keys() <= slots.keys(), "groups of slots name slots that there are", set(members) - set(slots)
    )
    require(max(members.values(), default=1) == 1, "a slot is in one group", members)
    for slot in slots.values():
        require(slot.in_flight or slot.id in members, "a slot with nothing to do is looked at", slot)
        require(slot.id not in starved or slot.in_flight, "a starved slot has a turn out", slot)
        require(slot.id not in idle or not slot.in_flight, "an idle slot has no turn out", slot)


def check_counts(
    *, trials: Trials, slots: Slots, unjudged: set[int], wanted: int | None, entered: int, told: int
) -> None:
    """Counters equal what is counted."""
    require(unjudged <= trials.keys(), "only live trials await a verdict", unjudged - trials.keys())
    require(entered == told + len(trials), "trials entered are told or live", (entered, told, len(trials)))
    total = sum(slot.wanted for slot in slots.values())
    require(wanted is None or wanted == total, "wanted lanes are the sum over slots", (wanted, total))


def _run(trials: Trials, id: RunId) -> LiveRun | None:
    trial = trials.get(id.trial)
    return trial.runs.get(id.replicate) if trial else None
