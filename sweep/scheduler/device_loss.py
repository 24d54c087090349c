"""A GPU that refuses a worker's process: another worker takes its place, its runs resume, no trial is told.

A program that loses its GPU several times in a row is too heavy for it, and trains fewer lanes at a time.
"""

from __future__ import annotations

from sweep.scheduler import endings, faults, widths
from sweep.scheduler.messages import Instruction, Note
from sweep.scheduler.slots import Flight, Slot
from sweep.scheduler.state import State
from sweep.vocabulary.trial import Signature
from sweep.vocabulary.turn import WATCHDOG_ADVICE, Loss, SlotLost, TurnResult

IN_A_ROW = 3
"""After so many losses of one program, with no turn of it done in between, its lanes are halved."""


def device_lost(
    state: State, slot: Slot, flight: Flight, result: TurnResult, now: float, out: list[Instruction]
) -> None:
    """Replace the worker; what its turn was to do is done again."""
    reason = next(iter((result.error or "").splitlines()), "")
    signature = flight.probes or (slot.key.signature if slot.key is not None else ())
    losses = state.device_losses[signature] = state.device_losses.get(signature, 0) + 1
    narrow = losses >= IN_A_ROW
    if narrow:
        out.append(Note(_too_heavy(signature, flight.width, losses, reason)))
    if narrow and flight.probes is not None:
        widths.measured(state, slot, flight.probes, result, out)
    elif narrow and flight.width > 1 and slot.key is not None:
        widths.too_wide(state, slot, slot.key, flight.width)
    for run in state.still_in(flight):
        slot.vacate(run.id)
        run.losses += flight.width == 1
        state.trials[run.id.trial].add("lost_s", result.turn_s)
        if run.losses > state.limits.max_losses:
            lost = f"the GPU refused its worker {run.losses} times in a row. Last error: {reason}"
            endings.fail(state, run.id, f"{lost}. {WATCHDOG_ADVICE}", out)
        else:
            faults.requeue(state, run, now, limit=None)
    faults.give_up(state, slot, SlotLost(slot.id, Loss.NODE, reason), now, out)


def _too_heavy(signature: Signature, width: int, losses: int, reason: str) -> str:
    program = ", ".join(f"{name}={value}" for name, value in signature)
    fewer = f"It trains fewer than {width} lanes at a time from now on. " if width > 1 else ""
    return f"the GPU failed {losses} times in a row ({program}): {reason}. {fewer}{WATCHDOG_ADVICE}"
