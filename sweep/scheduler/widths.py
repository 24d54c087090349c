"""How many lanes a slot opens: as many as pay, given what was measured and how many runs there are.

A program is measured once on each kind of chip and memory (`lanes: auto`), or assumed to gain evenly up to a
given number. A slot then takes the width at which the runs at hand train fastest, and changes it when that is
worth a tenth: it grows with its queue and halves as trials run out.
"""

from __future__ import annotations

from collections.abc import Mapping

from sweep.scheduler.live import QueueKey
from sweep.scheduler.messages import Instruction, Note
from sweep.scheduler.slots import Slot
from sweep.scheduler.state import State
from sweep.vocabulary.trial import Signature, TrialPlan
from sweep.vocabulary.turn import Probe, TurnResult

ASSUMED_GAIN = 0.8
"""Where nothing was measured, w lanes are taken to be this power of w times as fast as one."""

WORTH = 1.1
"""A slot changes its width only for this gain."""


def rates_for(state: State, slot: Slot, key: QueueKey) -> Mapping[int, float] | None:
    """Examples per second at each width that may be used; None where that has to be measured first."""
    rates: Mapping[int, float] | None = state.rates.get((slot.kind, key.signature))
    if rates is None:
        width = state.limits.width
        if width is None and _fair_share(state) > 1 and key.limit is None:
            return None
        rates = _assumed(state, width or key.limit or 1)
    # A person may have set a width while wider ones were measured.
    most = min(key.limit or max(rates), state.limits.width or max(rates))
    return {width: rate for width, rate in rates.items() if width <= most} or {1: 1.0}


def _assumed(state: State, width: int) -> dict[int, float]:
    """Rates at `width` and its halves, and at as many lanes as a slot can ever fill."""
    limits = state.limits
    rates = halvings(width)
    if limits.max_concurrent is not None:
        most = -(-limits.max_concurrent * limits.replicates // limits.slots)
        if most < width:
            rates |= halvings(most)
    return rates


def halvings(width: int) -> dict[int, float]:
    """`width`, half of it, and so on down to 1, with rates assumed: a step of more lanes takes longer."""
    rates: dict[int, float] = {}
    while width >= 1:
        rates[width] = width**ASSUMED_GAIN
        width //= 2
    return rates


def is_of_before(state: State, width: int) -> bool:
    """Whether a width is none of those that the study's `lanes` gives: it was set while the study ran."""
    return state.limits.width is not None and width not in halvings(state.limits.width)


def best_width(rates: Mapping[int, float], runs: int) -> int:
    """The width at which so many runs train fastest; of equal ones the least."""
    return max(sorted(rates), key=lambda width: useful_rate(rates, width, runs))


def useful_rate(rates: Mapping[int, float], width: int, runs: int) -> float:
    """Examples per second that count: lanes without a run cost as much as the others."""
    return rates[width] * min(runs, width) / width


def runs_for(state: State, slot: Slot, key: QueueKey) -> int:
    """How many runs of a program this slot can count on: what it holds, what waits, what will be asked."""
    held = slot.occupied_lanes() if slot.key == key else 0
    waiting = len(state.waiting.get(key, ()))
    if state.limits.programs == 1 and key.limit is None and not state.all_asked:
        return max(held + waiting, _fair_share(state))
    return held + waiting


def lanes_wanted(state: State) -> int:
    """Lanes that all slots together would fill, if there were runs of the right programs.

    Counted in full when slots come and go; in between each slot enters its own change.
    """
    if state.wanted is None:
        for slot in state.slots.values():
            slot.wanted = _lanes_wanted(state, slot)
        state.wanted = sum(slot.wanted for slot in state.slots.values())
    return state.wanted


def recompute_wanted(state: State, slot: Slot) -> None:
    """The slot has another program or width."""
    if state.wanted is not None:
        before, slot.wanted = slot.wanted, _lanes_wanted(state, slot)
        state.wanted += slot.wanted - before


def _lanes_wanted(state: State, slot: Slot) -> int:
    if slot.leave_by is not None:
        return 0
    if slot.key is None:
        known = [max(rates) for (kind, _), rates in state.rates.items() if kind == slot.kind]
        most = max(known, default=state.limits.width or 1)
    else:
        rates = rates_for(state, slot, slot.key)
        most = best_width(rates, _fair_share(state)) if rates else 1
    return max(len(slot.lanes), min(most, _fair_share(state)))


def _fair_share(state: State) -> int:
    """Runs that one slot can have at a time, when all slots have as many."""
    limits = state.limits
    trials = limits.trials - limits.told - state.told
    if limits.max_concurrent is not None:
        trials = min(trials, limits.max_concurrent)
    slots = max(len(state.slots), limits.slots)
    return max(1, -(-trials * limits.replicates // slots))


def probe(state: State, plan: TrialPlan) -> Probe:
    """Measure as far as a slot's fair share of runs reaches, and as its share of the work is worth."""
    limits = state.limits
    most = 1 << (_fair_share(state) - 1).bit_length()
    left = (limits.trials - limits.told - state.told) * limits.replicates
    slots = max(len(state.slots), limits.slots)
    return Probe(plan, most, examples=left * plan.length.examples / slots / limits.programs)


def measured(
    state: State, slot: Slot, signature: Signature, result: TurnResult, out: list[Instruction]
) -> None:
    """Enter what a probe found; a probe that failed leaves one lane."""
    state.rates[slot.kind, signature] = dict(result.rates) if result.rates else {1: 1.0}
    state.wanted = None
    program = ", ".join(f"{name}={value}" for name, value in signature)
    if result.rates:
        table = ", ".join(f"{width}: {rate:,.0f}" for width, rate in result.rates.items())
        out.append(Note(f"lanes on {slot.chip}, examples a second by width: {table} ({program})"))
    else:
        reason = (result.error or "nothing was measured").splitlines()[0]
        out.append(Note(f"lanes on {slot.chip}: one only, because measuring failed: {reason} ({program})"))


def too_wide(state: State, slot: Slot, key: QueueKey, width: int) -> None:
    """This width and wider ones are too much for the chip."""
    rates = state.rates.get((slot.kind, key.signature)) or halvings(width)
    less = {each: rate for each, rate in rates.items() if each < width}
    state.rates[slot.kind, key.signature] = less or {1: 1.0}
    state.wanted = None
