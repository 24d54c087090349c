"""How much memory the process takes now: falls again, and is what macOS calls its footprint."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import pytest

from sweep.worker import footprint

BIG = 200_000_000


class System:
    """macOS's `proc_pid_rusage`, as its header describes it."""

    def __init__(self, code: int = 0) -> None:
        self.code = code

    def proc_pid_rusage(self, pid: int, flavour: int, info: Any) -> int:
        assert (pid, flavour) == (os.getpid(), 0)
        buffer = ctypes.cast(info, ctypes.POINTER(ctypes.c_uint64))
        buffer[8] = 111  # resident, after 16 bytes of a UUID and six counters
        buffer[9] = 222  # the footprint
        return self.code


def test_memory_that_was_given_back_does_not_count() -> None:
    before = footprint.footprint_bytes()
    held = bytearray(os.urandom(16)) * (BIG // 16)
    assert footprint.footprint_bytes() > before + BIG // 2
    del held
    assert footprint.footprint_bytes() < before + BIG // 2


def test_on_a_mac_it_is_the_physical_footprint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("ctypes.CDLL", lambda name: System())
    assert footprint.footprint_bytes() == 222


def test_where_a_mac_does_not_say_what_is_resident_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("ctypes.CDLL", lambda name: System(code=-1))
    assert footprint.footprint_bytes() > 1_000_000
