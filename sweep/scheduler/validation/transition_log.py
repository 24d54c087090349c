"""The last transitions, kept so that a failing test can print how it came to this."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from sweep.scheduler.messages import Event, Instruction

KEPT = 64
"""How many transitions are kept."""

MOST_INSTRUCTIONS = 256
"""So many instructions are kept, or those of the last transition: all that wide slots report would grow old.

Python's collector looks through what has grown old, and that took as long as half of all else.
"""

LINE = 240
"""How many characters of a value are printed."""


class Entry(NamedTuple):
    """One event, when it was entered, and the instructions that it led to."""

    now: float
    event: Event
    instructions: Sequence[Instruction]


class TransitionLog:
    """A bounded log of what was entered and what came of it."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._instructions = 0

    def enter(self, now: float, event: Event, instructions: Sequence[Instruction]) -> None:
        """Keep one transition, and let go of the oldest."""
        self._entries.append(Entry(now, event, instructions))
        self._instructions += len(instructions)
        while len(self) > KEPT or (len(self) > 1 and self._instructions > MOST_INSTRUCTIONS):
            self._instructions -= len(self._entries.popleft().instructions)

    def __len__(self) -> int:
        return len(self._entries)

    def __str__(self) -> str:
        lines = [f"the last {len(self)} transitions, oldest first:"]
        for entry in self._entries:
            lines.append(f"  {entry.now:.3f} {_short(entry.event)}")
            lines += [f"      -> {_short(instruction)}" for instruction in entry.instructions]
        return "\n".join(lines)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LINE else f"{text[:LINE]}..."
