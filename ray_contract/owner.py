"""When a node is its owner's and no study's: reserved, in its quiet hours, or while it is typed at.

`clusters` writes the reservation, `sweep.executors.ray` looks on the node itself. All times are the node's
own, and what is told elsewhere is how long something still lasts: clocks may differ.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESERVATION = "reserved.json"
"""In the cluster's folder on the node: `until` in seconds since 1970 by the node's clock, and `by` whom."""

DAY_MIN = 24 * 60
IOREG_S = 5.0

Quiet = tuple[int, int]
"""From one minute of the day to another, through midnight where the second is not after the first."""


@dataclass(frozen=True)
class OwnerRules:
    """`folder` is the cluster's on the node, from `~/` on; `idle_s` how long nothing must have been typed.

    `quiet` are the hours of the node's day that are its owner's; `idle_s` None: typing does not count.
    """

    folder: str
    quiet: tuple[Quiet, ...] = ()
    idle_s: float | None = None


@dataclass(frozen=True)
class Taken:
    """Why a node is its owner's now, and for how many seconds more, None where that is not known."""

    why: str
    left_s: float | None = None


def taken(rules: OwnerRules, *, now: float, idle_s: float | None) -> Taken | None:
    """`now` is in seconds since 1970; `idle_s` since when nothing was typed, None where that is not known."""
    found = reserved(Path(rules.folder).expanduser() / RESERVATION, now)
    if found is not None:
        return found
    local = time.localtime(now)
    minute = local.tm_hour * 60 + local.tm_min
    for start, stop in rules.quiet:
        if is_within(minute, start, stop):
            left_s = ((stop - minute) % DAY_MIN or DAY_MIN) * 60 - local.tm_sec
            return Taken(f"quiet hours until {stop // 60:02d}:{stop % 60:02d}", left_s)
    if rules.idle_s is not None and idle_s is not None and idle_s < rules.idle_s:
        return Taken("its owner is at the keyboard", rules.idle_s - idle_s)
    return None


def reserved(path: Path, now: float) -> Taken | None:
    """The reservation in a file; one that cannot be read counts, until it is released."""
    try:
        found = json.loads(path.read_text())
        until, by = float(found["until"]), str(found["by"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Taken(f"reserved: {path} cannot be read")
    return Taken(f"reserved by {by}", until - now) if until > now else None


def is_within(minute: int, start: int, stop: int) -> bool:
    """Whether a minute of the day lies in a stretch of it."""
    return start <= minute < stop if start < stop else minute >= start or minute < stop


def idle_seconds(said: str) -> float | None:
    """What `ioreg -c IOHIDSystem` says: nanoseconds since the last input; None where it says nothing."""
    found = re.findall(r'"HIDIdleTime"\s*=\s*(\d+)\b', said)
    return min(map(int, found)) / 1e9 if found else None


def ask_idle(command: Sequence[str] = ("ioreg", "-rd1", "-c", "IOHIDSystem")) -> float | None:
    """How long nothing has been typed or pointed at on this machine; None where it cannot be told."""
    program = shutil.which(command[0]) or shutil.which(command[0], path="/usr/sbin")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=IOREG_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return idle_seconds(done.stdout)
