"""When a node is its owner's: by its own clock, its reservation, its quiet hours, what is typed there."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest

from ray_contract.owner import RESERVATION, OwnerRules, Taken, ask_idle, idle_seconds, is_within, taken

IOREG = """\
+-o IOHIDSystem  <class IOHIDSystem, id 0x100000342, registered, matched, active, busy 0 (0 ms), retain 17>
    {
      "IOClass" = "IOHIDSystem"
      "HIDIdleTime" = 754385917
      "IOProviderClass" = "IOResources"
      "HIDParameters" = {"HIDMouseAcceleration"=45056,"HIDF12EjectDelay"=250}
    }
"""
"""What `ioreg -rd1 -c IOHIDSystem` prints by its documented form, in part: it was not taken from a Mac."""

NIGHT = ((22 * 60, 7 * 60),)


def at(hour: int, minute: int = 0) -> float:
    return time.mktime((2026, 3, 4, hour, minute, 0, 0, 0, -1))


@pytest.fixture
def rules(tmp_path: Path) -> OwnerRules:
    return OwnerRules(str(tmp_path))


def write(rules: OwnerRules, text: str) -> None:
    Path(rules.folder, RESERVATION).write_text(text)


def test_a_reservation_holds_until_its_end_by_the_nodes_own_clock(rules: OwnerRules) -> None:
    assert taken(rules, now=1000.0, idle_s=None) is None
    write(rules, json.dumps({"until": 1600.0, "by": "ann@mini1"}))
    assert taken(rules, now=1000.0, idle_s=None) == Taken("reserved by ann@mini1", 600.0)
    assert taken(rules, now=1600.0, idle_s=None) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"until": "soon", "by": "x"}', '{"by": "x"}'])
def test_a_damaged_reservation_holds_and_says_where_it_lies(rules: OwnerRules, text: str) -> None:
    write(rules, text)
    found = taken(rules, now=1000.0, idle_s=None)
    assert found is not None
    assert found.why == f"reserved: {rules.folder}/{RESERVATION} cannot be read"


@pytest.mark.parametrize(
    ("hour", "minute", "left_h"),
    [(21, 59, None), (22, 0, 9.0), (23, 30, 7.5), (0, 0, 7.0), (6, 30, 0.5), (7, 0, None), (12, 0, None)],
)
def test_quiet_hours_pass_through_midnight(
    tmp_path: Path, hour: int, minute: int, left_h: float | None
) -> None:
    found = taken(OwnerRules(str(tmp_path), quiet=NIGHT), now=at(hour, minute), idle_s=None)
    assert found == (None if left_h is None else Taken("quiet hours until 07:00", left_h * 3600))


def test_quiet_hours_within_a_day() -> None:
    assert [is_within(hour, 9, 17) for hour in (8, 9, 16, 17)] == [False, True, True, False]


def test_what_is_typed_takes_a_node_until_it_was_left_alone_for_long_enough(tmp_path: Path) -> None:
    rules = OwnerRules(str(tmp_path), idle_s=600.0)
    assert taken(rules, now=1.0, idle_s=5.0) == Taken("its owner is at the keyboard", 595.0)
    assert taken(rules, now=1.0, idle_s=600.0) is None
    assert taken(rules, now=1.0, idle_s=None) is None, "unknown"
    assert taken(OwnerRules(str(tmp_path)), now=1.0, idle_s=5.0) is None, "not asked for"


def test_what_ioreg_says_is_read_and_unknown_where_it_says_nothing() -> None:
    assert idle_seconds(IOREG) == pytest.approx(0.754385917)
    assert idle_seconds(IOREG.partition('"HIDIdleTime"')[0]) is None
    assert idle_seconds('"HIDIdleTime" = ') is None
    assert idle_seconds('"HIDIdleTime" = 9000000000\n"HIDIdleTime" = 2000000000\n') == 2.0


def test_a_machine_is_asked_and_one_without_ioreg_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed, stand_in = tmp_path / "printed", tmp_path / "ioreg"
    printed.write_text(IOREG)
    stand_in.write_text(f'#!/bin/sh\n[ "$*" = "-rd1 -c IOHIDSystem" ] && cat {printed}\n')
    stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert ask_idle() == pytest.approx(0.754385917)
    assert ask_idle(("no-such-program",)) is None
