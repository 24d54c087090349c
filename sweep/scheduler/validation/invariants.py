"""What must hold between transitions, over plain parts of the state; for tests: each check reads all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NoReturn

from sweep.scheduler.live import LiveRun, LiveTrial, QueueKey
from sweep.scheduler.slots import Flight, PlannedLane, Slot
from sweep.vocabulary.trial import RunId

Trials = Mapping[int, LiveTrial]
Slots = Mapping[str, Slot]
Queues = Mapping[QueueKey, Collection[RunId]]
Group = Mapping[str, None]


def broken(invariant: str, found: object) -> NoReturn:
    """Raise AssertionError with the invariant's name and what breaks it."""
    raise AssertionError(f"broken invariant: {invariant}; found {found}")


def check_runs(
    trials: Trials,
    slots: Slots,
    waiting: Queues,
    paused: Collection[RunId],
    finishing: Collection[int],
) -> None:
    """Every run is in one place: queue, slot, pause or finished; and it has recorded what it must have."""
    places: dict[RunId, int] = {}
    for id in paused:
        run = _live(trials, id)
        if run.slot is not None or run.waiting:
            broken("a paused run is in no slot and no queue", run)
        places[id] = 1
    for key, queue in waiting.items():
        if not queue:
            broken("no queue is empty", key)
        for id in queue:
            run = _live(trials, id)
            if run.key != key or not run.waiting:
                broken("a queue holds waiting runs of its key", run)
            places[id] = places.get(id, 0) + 1
    for slot in slots.values():
        for id in slot.holding:
            run = _live(trials, id)
            if run.slot != slot.id or run.waiting:
                broken("a run names the slot that holds it", run)
            places[id] = places.get(id, 0) + 1
    if not trials.keys() >= set(finishing):
        broken("only live trials are to end", set(finishing) - trials.keys())
    for trial in trials.values():
        if trial.finished and trial.awaits is None:
            broken("a trial whose runs are all finished is told", trial.plan.number)
        for run in trial.runs.values():
            if places.get(run.id, 0) + run.finished != 1:
                broken("a run is in one place: queue, slot, pause or finished", (run, places.get(run.id)))
            _check_recorded(run, may_end_early=run.id.trial in finishing)
        for examples, row in trial.boundaries.items():
            if len(row) >= len(trial.runs):
                broken("a boundary waits only until all replicates reach it", (trial.plan.number, examples))


def _check_recorded(run: LiveRun, *, may_end_early: bool) -> None:
    if run.key.limit is not None and run.key.limit < 1:
        broken("a limit on the width is at least 1", run)
    if run.length.open:  # it reports when it likes and ends when it says
        if run.finished and run.slot is not None:
            broken("a finished run is in no slot", run)
        return
    reports, recorded = run.length.reports, run.recorded
    if recorded > reports:
        broken("a run records no more reports than its length has", run)
    ended = run.failure is not None or may_end_early or recorded >= reports
    if run.finished and (not ended or run.slot is not None):
        broken("a finished run has recorded all its reports and is in no slot", run)
    if run.checkpoint is not None and run.length.boundaries(run.seen) > recorded:
        broken("a checkpoint stands nowhere beyond the recorded reports", run)


def check_slots(trials: Trials, slots: Slots, turns: int) -> None:
    """Lanes, turns out and held runs of a slot agree."""
    for slot in slots.values():
        planned = [lane for lane in slot.lanes if lane is not None]
        known = {lane.run for lane in planned}
        if len(known) != len(planned):
            broken("a run is in one lane", slot)
        for lane in planned:
            _check_lane(slot, lane)
        if slot.drops:
            _check_drops(slot)
        if (slot.key is None) != (not slot.lanes):
            broken("a slot has lanes once it has a program", slot)
        if len(slot.in_flight) > 2 or list(slot.in_flight) != sorted(slot.in_flight):
            broken("at most two turns are out, in order", slot)
        for number, flight in slot.in_flight.items():
            if number > turns:
                broken("turns are numbered from the count", slot)
            _check_flight(trials, slot, flight)
            known.update(flight.runs)
        is_cut_short = slot.leave_by is not None  # its turns come back undone
        if not is_cut_short and not slot.holding.keys() <= known:
            broken("a held run is in a lane or in a turn that is out", (slot, slot.holding.keys() - known))


def _check_lane(slot: Slot, lane: PlannedLane) -> None:
    if lane.run not in slot.holding:
        broken("a lane holds a live run that its slot holds", (slot, lane))
    if lane.left < 0:
        broken("a lane has no fewer than 0 advances left", (slot, lane))


def _check_drops(slot: Slot) -> None:
    free = all(0 <= index < len(slot.lanes) and slot.lanes[index] is None for index in slot.drops)
    if not free or len(set(slot.drops)) != len(slot.drops):
        broken("a dropped lane is free, and dropped once", slot)


def _check_flight(trials: Trials, slot: Slot, flight: Flight) -> None:
    if flight.width < max(1, len(flight.runs)):
        broken("a turn is as wide as its runs need", (slot, flight))
    if flight.probes is not None and flight is not next(iter(slot.in_flight.values())):
        broken("a slot measures widths before all other turns that are out", slot)
    for id, attempt in flight.runs.items():
        trial = trials.get(id.trial)
        if trial is not None and attempt > trial.runs[id.replicate].attempt:
            broken("no turn is ahead of its run's attempts", (slot, id))


def check_looked_at(slots: Slots, opened: Group, starved: Group, idle: Group) -> None:
    """A slot is in one group at most; one with no turn out is in one, or nothing would ever feed it."""
    members = opened.keys() | starved.keys() | idle.keys()
    if not members <= slots.keys():
        broken("groups of slots name slots that there are", members - slots.keys())
    if len(members) != len(opened) + len(starved) + len(idle):
        broken("a slot is in one group", (opened, starved, idle))
    for slot in slots.values():
        if not slot.in_flight and slot.id not in members:
            broken("a slot with nothing to do is looked at", slot)
        if not slot.in_flight and slot.id in starved:
            broken("a starved slot has a turn out", slot)
        if slot.in_flight and slot.id in idle:
            broken("an idle slot has no turn out", slot)


def check_counts(
    *,
    trials: Trials,
    ending: Trials,
    slots: Slots,
    unjudged: set[int],
    wanted: int | None,
    entered: int,
    told: int,
) -> None:
    """Counters equal what is counted."""
    if not unjudged <= trials.keys():
        broken("only live trials await a verdict", unjudged - trials.keys())
    if trials.keys() & ending.keys():
        broken("a trial that has ended is live no more", trials.keys() & ending.keys())
    for trial in ending.values():
        if trial.outcome is None or any(run.slot is not None for run in trial.runs.values()):
            broken("a trial that has ended has an outcome, and is in no slot", trial.plan.number)
    if entered != told + len(trials) + len(ending):
        broken("trials entered are live, have ended or are told", (entered, told, len(trials), len(ending)))
    if wanted is not None and wanted != sum(slot.wanted for slot in slots.values()):
        broken("wanted lanes are the sum over slots", wanted)


def check_drained(slots: Slots, *, stopping: bool) -> None:
    """Only a slot that is given back gets a last turn, unless the study stops."""
    drained = [slot.id for slot in slots.values() if slot.drained and slot.leave_by is None]
    if not stopping and drained:
        broken("a slot is drained only where it leaves, or all stop", drained)


def _live(trials: Trials, id: RunId) -> LiveRun:
    trial = trials.get(id.trial)
    if trial is None or id.replicate not in trial.runs:
        broken("only live runs wait or are held", id)
    return trial.runs[id.replicate]
