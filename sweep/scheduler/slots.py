"""Slots: what each worker has been given, and how well its lanes were used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.scheduler.live import QueueKey
from sweep.vocabulary.trial import RunId, Signature
from sweep.vocabulary.turn import Change


@dataclass
class PlannedLane:
    """A run in a lane, as it will be when all turns given out are done; `left` counts its advances."""

    run: RunId
    left: int


@dataclass(frozen=True)
class Flight:
    """A turn that is out: its width, and the runs in it with the attempt that each was at.

    Each lane trains for so many `reports`, of the program of `key`. `probes` says that it measures widths of
    that program, `ends` that it trains nothing and ends runs.
    """

    width: int
    runs: Mapping[RunId, int]
    probes: Signature | None = None
    ends: bool = False
    reports: int = 1
    key: QueueKey | None = None


@dataclass
class LaneTime:
    """How long lanes were there, and how long they did useful work, in seconds times lanes."""

    total_s: float = 0.0
    useful_s: float = 0.0

    def add(self, turn_s: float, lanes: int, useful: int) -> None:
        """Enter one turn."""
        self.total_s += turn_s * lanes
        self.useful_s += turn_s * useful

    @property
    def useful_fraction(self) -> float | None:
        """None where no time has passed."""
        return round(self.useful_s / self.total_s, 4) if self.total_s else None


@dataclass
class Slot:
    """One worker.

    field          changed by               what holds
    key            turns                    the program that it has open, and its queue; None at first
    lanes          turns, endings, faults   the plan after the last turn given out; a run is in one lane
    drops          endings, turns           free lanes that the worker still fills; the next turn says so
    changes        evolving, turns          what becomes of lanes before the next turn trains them
    saves          evolving, turns          lanes whose state is to be saved before it changes
    in_flight      turns, transition        turns that are out, oldest first, at most two
    holding        turns, endings, faults   runs whose end has not come back: those in lanes, or in a turn out
    started        turns, transition        since when the worker has been busy with its oldest turn
    advance_s      transition               how long a report of its program took last, None before the first
    waits          transition               an advance outlasts `advance_outlasts`: it waits for verdicts
    drained        turns                    it was given its final snapshot turn: it leaves, or all stop
    leave_by       leaving                  until when it may save its runs, which train no further there
    released       leaving                  it is about to be given back
    wanted         widths                   how many lanes it would fill
    silence_noted  faults                   the turn whose silence was last spoken of
    brief          transition               its last run of open length ended with its first report
    """

    id: str
    host: str
    chip: str
    advance_outlasts: float
    memory_bytes: int = 0
    key: QueueKey | None = None
    lanes: list[PlannedLane | None] = field(default_factory=list)
    drops: list[int] = field(default_factory=list)
    changes: dict[int, Change] = field(default_factory=dict)
    saves: list[int] = field(default_factory=list)
    in_flight: dict[int, Flight] = field(default_factory=dict)
    holding: dict[RunId, None] = field(default_factory=dict)
    started: float = 0.0
    advance_s: float | None = None
    waits: bool = True
    drained: bool = False
    leave_by: float | None = None
    released: bool = False
    wanted: int = 0
    silence_noted: int = 0
    brief: bool = False

    @property
    def kind(self) -> tuple[str, int]:
        """What is measured once for all slots that share it: the chip, and how many GB it may use."""
        return self.chip, self.memory_bytes // 10**9

    def place_of(self, run: RunId) -> int | None:
        """The lane that a run has in the plan."""
        for index, lane in enumerate(self.lanes):
            if lane is not None and lane.run == run:
                return index
        return None

    @property
    def busy(self) -> int:
        """Lanes that hold a run."""
        return sum(lane is not None for lane in self.lanes)

    def occupied_lanes(self) -> int:
        """Lanes whose run continues in the next turn."""
        return sum(lane is not None and lane.left > 0 for lane in self.lanes)

    def vacate(self, run: RunId) -> int | None:
        """Take a run out of the plan; the lane it had, if it still had one."""
        self.holding.pop(run, None)
        index = self.place_of(run)
        if index is not None:
            self.lanes[index] = None
            self.changes.pop(index, None)
        return index
