"""Campaigns over seeds count what takes long by its own doing, not by the machine's."""

from __future__ import annotations

import time

import pytest

from tests.seeds import Tally


def test_what_was_slow_once_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 101.0, 101.0, 101.5])
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    tally = Tally("files", ("good", "slow")).try_all(lambda seed: ("good", ""), [7])
    assert tally.slowest == (0.5, 7)
    assert tally.counts == {"good": 1}


def test_what_is_slow_twice_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 9.0, 9.0, 17.0])
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    tally = Tally("files", ("good", "slow")).try_all(lambda seed: ("slow", "its text"), [7])
    assert tally.slowest == (8.0, 7)
    assert tally.wrong == {7: "slow: its text"}
