"""What goes wrong: lost workers, failed turns, time-outs.

Infrastructure is retried. So is a trial that fails by itself, after a pause: what it needs
may be away for a moment. Once it was tried a few times, its failure ends it.

After a failure among several lanes it is not known which trial caused it: the suspects run again from their
checkpoints at halved widths down to one, and only a failure alone counts.
"""

from __future__ import annotations

from sweep.scheduler import endings, feeding, placement, queues, widths
from sweep.scheduler.live import LiveRun, QueueKey
from sweep.scheduler.messages import Instruction, Note, Replace
from sweep.scheduler.population import together
from sweep.scheduler.slots import Flight, Slot
from sweep.scheduler.state import Phase, State
from sweep.vocabulary.turn import Loss, SlotLost, TurnResult

LOOK_EVERY_S = 1.0
"""Deadlines are looked at this often."""

PAUSE_S = 0.5
"""How long a run that failed waits before it is tried again for the first time."""

PAUSE_GROWTH = 8.0
"""Every further pause is so many times as long: two of them outlast what is away for a few seconds."""

LONGEST_PAUSE_S = 600.0
"""No pause is longer."""

UNWANTED_S = 60.0
UNWANTED_TURNS = 3.0
"""A worker may stay so long with trials that have ended: longer than that, and than its longest turns."""

SILENCE_S = 600.0
"""How long a worker may be silent before this is said, where no time-out is set."""


def turn_failed(
    state: State, slot: Slot, flight: Flight, result: TurnResult, now: float, out: list[Instruction]
) -> None:
    """The lanes of a failed turn are gone from the worker."""
    width = flight.width
    reason = result.error or ""
    if result.out_of_memory and slot.key is not None and width > 1:
        widths.too_wide(state, slot, slot.key, width)
    suspects = state.still_in(flight)
    for run in suspects:
        slot.vacate(run.id)
        if width == 1 and result.out_of_memory and placement.ran_out_alone(state, slot, run.key.signature):
            out.append(
                Note(f"{slot.id} has too little memory for trial {run.id.trial}; it runs again elsewhere")
            )
            requeue(state, run, now, limit=None)
        elif width == 1:
            broke(state, run, reason, now, out)
        else:
            requeue(state, run, now, limit=width // 2)
    if width > 1 and suspects:
        first_line = reason.strip().splitlines()[:1]
        out.append(
            Note(f"{slot.id}: a step of {width} lanes failed, its trials run again: {''.join(first_line)}")
        )
    if result.out_of_memory:
        give_up(state, slot, SlotLost(slot.id, Loss.NODE, "it ran out of memory"), now, out)


def broke(
    state: State, run: LiveRun, reason: str, now: float, out: list[Instruction], *, lasting: bool = False
) -> None:
    """A run failed by itself, alone: it is tried again after a pause, or its trial fails.

    A failure that is `lasting` would come again: it is not tried. Where trial after trial broke, it stays
    unfinished for the session that comes when the cause is gone.
    """
    is_last = state.limits.stop_after is not None and state.broken >= state.limits.stop_after
    if (lasting or run.retried >= state.limits.retries) and not is_last:
        endings.fail(state, run.id, reason, out)
        return
    slot = state.slots.get(run.slot) if run.slot is not None else None
    lane = slot.vacate(run.id) if slot is not None else None
    if slot is not None and lane is not None:
        slot.drops.append(lane)
    # with the exponent bounded the power is one that a float holds
    pause_s = min(PAUSE_S * PAUSE_GROWTH ** min(run.retried, 9), LONGEST_PAUSE_S)
    run.retried += 1
    run.attempt += 1
    run.slot, run.since = None, now
    state.paused[run.id] = now + pause_s
    if is_last or state.phase is Phase.STOPPING:  # the session that comes tries it
        return
    first_line = "".join(reason.strip().splitlines()[:1])
    times = f"{run.retried} of {state.limits.retries}"
    out.append(Note(f"trial {run.id.trial} is tried again in {pause_s:g} s ({times}): {first_line}"))


def resume_paused(state: State, now: float) -> None:
    """Runs whose pause is over wait for a lane again."""
    for id in [id for id, until in state.paused.items() if until <= now]:
        del state.paused[id]
        run = state.run(id)
        if run is not None:
            queues.enqueue(state, run, first=True)


def slot_lost(state: State, event: SlotLost, now: float, out: list[Instruction]) -> None:
    """A slot is gone: its runs resume elsewhere, from their last collected checkpoints."""
    slot = state.slots.pop(event.slot, None)
    if slot is None:
        return
    feeding.close_slot(state, slot)
    state.wanted = None
    out.append(Note(f"{event.slot} on {slot.host} was lost: {event.reason}"))
    widths = {run.id: flight.width for flight in slot.in_flight.values() for run in state.still_in(flight)}
    for id in list(slot.holding):
        run = state.run(id)
        if run is None:
            continue
        width = widths.get(id)
        if width is not None:
            state.trials[id.trial].add("lost_s", now - slot.started)
        suspect = event.loss is Loss.PROCESS and width is not None
        run.losses += suspect and width == 1
        if run.losses > state.limits.max_losses:
            endings.fail(
                state, id, f"its worker was lost {run.losses} times in a row. Last error: {event.reason}", out
            )
        else:
            requeue(state, run, now, limit=width // 2 if suspect and width and width > 1 else None)


def requeue(state: State, run: LiveRun, now: float, *, limit: int | None) -> None:
    """Back to the head of the queue, to resume from the last collected checkpoint.

    A member of a population whose verdict is out must not train on: it waits for the next tick.
    """
    run.slot, run.since = None, now
    run.attempt += 1
    if limit is not None:
        run.key = QueueKey(run.key.signature, min(limit, run.key.limit or limit))
    if run.id.trial in state.standing:
        together.park(state, run)
        return
    if state.limits.interval is not None and run.id.trial in state.unjudged:
        state.paused[run.id] = now
        return
    queues.enqueue(state, run, first=True)


def check_timeouts(state: State, result: TurnResult, out: list[Instruction]) -> None:
    """A run's own lane time, over all attempts, against the trial's time-out."""
    timeout_s = state.limits.timeout_s
    if timeout_s is None:
        return
    for id in result.spent:
        run = state.run(id)
        if run is not None and not run.finished and run.lane_s > timeout_s:
            reason = f"timed out: {run.lane_s:.1f} s in its lane, timeout is {timeout_s:g} s"
            endings.fail(state, id, reason, out)


def check_deadlines(state: State, now: float, out: list[Instruction]) -> None:
    """A worker that stays silent past a trial's time-out is replaced.

    A trial that was alone in it fails. Of several it is not known which one hangs: they run again, fewer at
    a time.
    """
    timeout_s = state.limits.timeout_s
    if now - state.checked < LOOK_EVERY_S:
        return
    state.checked = now
    _free_from_what_has_ended(state, now, out)
    if timeout_s is None:
        _note_silence(state, now, out)
        return
    for slot in list(state.slots.values()):
        elapsed = now - slot.started if slot.in_flight else 0.0
        runs = [run for run in map(state.run, slot.holding) if run is not None]
        late = [run for run in runs if run.lane_s + elapsed > timeout_s + state.limits.grace_s]
        if not elapsed or not late:
            continue
        silence = f"no answer for {elapsed:.0f} s"
        if all(flight.width == 1 for flight in slot.in_flight.values()):
            for run in late:
                endings.fail(state, run.id, f"timed out: {silence}, timeout is {timeout_s:g} s", out)
        give_up(state, slot, SlotLost(slot.id, Loss.PROCESS, silence), now, out)


def _free_from_what_has_ended(state: State, now: float, out: list[Instruction]) -> None:
    """A worker that does not come back from trials that have ended, or are to end now, is replaced.

    They were pruned, or finished by hand: what the turn would bring is not waited for. A turn that was given
    out behind it has trials that are wanted, and that are no cause of the silence.
    """
    most_s = max(UNWANTED_S, UNWANTED_TURNS * state.longest_turn_s) if state.longest_turn_s else SILENCE_S
    for slot in list(state.slots.values()):
        silent_s = now - slot.started
        if not slot.in_flight or silent_s <= most_s:
            continue
        flight = slot.in_flight[min(slot.in_flight)]
        wanted = [run for run in state.still_in(flight) if run.id.trial not in state.finishing]
        if flight.probes is None and not wanted:
            why = f"no answer for {silent_s:.0f} s from a step whose trials have ended"
            give_up(state, slot, SlotLost(slot.id, Loss.NODE, why), now, out)


def leave_behind(state: State, now: float, out: list[Instruction]) -> None:
    """After an interruption, slots whose turns have not come back in time are no longer waited for."""
    if now < state.stop_by:
        return
    for slot in list(state.slots.values()):
        if not slot.in_flight:
            continue
        if slot.holding:
            out.append(Note(_left_behind(state, slot)))
        del state.slots[slot.id]
        feeding.close_slot(state, slot)
        state.wanted = None
        for run in [state.run(id) for id in slot.holding]:
            if run is not None:
                state.trials[run.id.trial].add("lost_s", now - slot.started)
                requeue(state, run, now, limit=None)


def _left_behind(state: State, slot: Slot) -> str:
    trials = ", ".join(str(number) for number in sorted({run.trial for run in slot.holding}))
    late = f"worker {slot.id} has not finished its step in {state.limits.stop_s:g} s"
    return f"{late}: its trials resume from their last checkpoints (trials {trials})"


def give_up(state: State, slot: Slot, loss: SlotLost, now: float, out: list[Instruction]) -> None:
    """Replace the worker; its runs resume elsewhere."""
    out.append(Replace(slot.id, loss.reason))
    slot_lost(state, loss, now, out)


def _note_silence(state: State, now: float, out: list[Instruction]) -> None:
    """Without a time-out a silent worker is left alone: say so, once a turn."""
    for slot in state.slots.values():
        silent_s = now - slot.started if slot.in_flight else 0.0
        oldest = min(slot.in_flight, default=0)
        if silent_s > SILENCE_S and slot.silence_noted != oldest:
            slot.silence_noted = oldest
            trials = ", ".join(str(number) for number in sorted({run.trial for run in slot.holding}))
            out.append(
                Note(
                    f"worker {slot.id} has been silent for {silent_s / 60:.0f} min (trials {trials}). "
                    "Set trial.timeout to have hung workers replaced"
                )
            )
