"""How long a study has held each node's workers, from the log: by session, from their start to their end."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runlog import checkpoints, steered
from runlog.reader import whole_bytes
from runlog.records import PREFIX, Record

KINDS = ("opened", "slot", "lost", "closed")
"""The records that `Workers` takes in."""

BETWEEN_SESSIONS = ("message", "retry", "edited", "file", *steered.KINDS, *checkpoints.KINDS)
"""Records that are also written while no session runs: they say nothing of when one ended."""

_REPORT, _OPENED = PREFIX + b'report"', PREFIX + b'opened"'
_BLOCK_BYTES = 1 << 20
_WINDOW_BYTES = 1 << 16
_PASSED_OVER = tuple(PREFIX + kind.encode() + b'"' for kind in BETWEEN_SESSIONS)


@dataclass
class _Session:
    """`held` are the workers that are there: each one's host, and since when; `closed` None where killed."""

    held: dict[str, tuple[str, float]] = field(default_factory=dict)
    closed: float | None = None


class Workers:
    """Feed it records in the order of the log."""

    def __init__(self) -> None:
        self._sessions: list[_Session] = []
        self._ended: defaultdict[str, float] = defaultdict(float)

    def add(self, record: Record) -> None:
        """Take in one record; other kinds are ignored."""
        if record["event"] not in KINDS:
            return
        if record["event"] == "opened" or not self._sessions:
            self._sessions.append(_Session())
        session = self._sessions[-1]
        match record["event"]:
            case "slot":
                session.held[record["slot"]] = record["host"], record["time"]
            case "lost" if record["slot"] in session.held:
                host, since = session.held.pop(record["slot"])
                self._ended[host] += max(0.0, record["time"] - since)
            case "closed":
                session.closed = record["time"]

    def seconds(self, ends: Sequence[float]) -> dict[str, float]:
        """By node, of all its workers together; `ends` are when sessions ended that were killed, or run."""
        found = self._ended.copy()
        for number, session in enumerate(self._sessions):
            end = session.closed
            if end is None and number < len(ends):
                end = ends[number]
            for host, since in session.held.values():
                found[host] += max(0.0, (since if end is None else end) - since)
        return dict(sorted(found.items()))

    @property
    def held(self) -> dict[str, int]:
        """How many workers the last session has on each node, while it runs."""
        if not self._sessions or self._sessions[-1].closed is not None:
            return {}
        return dict(sorted(Counter(host for host, _ in self._sessions[-1].held.values()).items()))


@dataclass(frozen=True)
class Scan:
    """What is found in a log without parsing it: how many reports, and when each session's last record is."""

    reports: int
    ends: tuple[float, ...]


def scan(log: Path) -> Scan:
    """Count reports, and look where sessions end, by how lines begin."""
    reports, opened = 0, []
    needle = max(len(_REPORT), len(_OPENED)) + 1
    with log.open("rb") as file:
        before, carry = -1, b"\n"
        while block := file.read(_BLOCK_BYTES):
            text = carry + block
            reports += text.count(b"\n" + _REPORT)
            opened += [before + 1 + at for at in _places(text, b"\n" + _OPENED)]
            carry = text[-needle + 1 :]
            before += len(text) - len(carry)
    stops = [*sorted(set(opened))[1:], whole_bytes(log)]
    return Scan(reports, tuple(_last_time(log, stop) for stop in stops))


def _places(text: bytes, needle: bytes) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + 1)


def _last_time(log: Path, stop: int) -> float:
    """When the last record before a place was written that only a session writes; 0 where there is none."""
    with log.open("rb") as file:
        window = _WINDOW_BYTES
        while True:
            start = max(0, stop - window)
            file.seek(start)
            lines = file.read(stop - start).split(b"\n")
            for line in reversed(lines[1:] if start else lines):
                if line.startswith(PREFIX) and not line.startswith(_PASSED_OVER):
                    found = _time(line)
                    if found is not None:
                        return found
            if not start:
                return 0.0
            window *= 4


def _time(line: bytes) -> float | None:
    """A record's time; None where the line is damaged."""
    try:
        record = json.loads(line)
        return float(record["time"])
    except (ValueError, KeyError, TypeError):
        return None


def hours_text(seconds: Mapping[str, float]) -> str:
    """`studio1 1.2, mini1 0.4`, most first."""
    most_first = sorted(seconds.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{host} {hours(spent)}" for host, spent in most_first)


def hours(seconds: float) -> str:
    """Hours in three digits."""
    return f"{seconds / 3600:.3g}"
