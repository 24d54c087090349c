"""The memory guard by itself: what it raises, where that arrives, and what it leaves behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from sweep.worker.memory_guard import MemoryGuard, OverLimitError
from tests.processes import wait_until

TRACED = """
import sys
from sweep.worker.memory_guard import MemoryGuard
guard = MemoryGuard(100, lambda: 10)
with guard.watching():
    pass
def traced():
    print("begun")
sys.settrace(lambda *_: None)
traced()
"""


def guards() -> int:
    return sum(thread.name == "memory guard" for thread in threading.enumerate())


def never_end() -> None:
    while True:
        pass


def test_work_above_the_limit_is_ended_and_what_was_found_is_said() -> None:
    guard = MemoryGuard(100, lambda: 120)
    with pytest.raises(OverLimitError), guard.watching():
        never_end()
    guard.close()
    assert guard.found == 120
    assert "0.00 GB" in guard.explain()


@pytest.mark.slow
def test_what_was_raised_during_one_long_call_leaves_the_block_and_nothing_comes_after_it() -> None:
    guard = MemoryGuard(100, lambda: 120)
    with pytest.raises(OverLimitError), guard.watching():
        time.sleep(0.5)
    guard.close()
    time.sleep(0.3)


def test_a_function_that_is_traced_begins_after_watched_work() -> None:
    done = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == ("begun\n", "")


def test_a_closed_guard_leaves_no_thread() -> None:
    before = guards()
    guard = MemoryGuard(100, lambda: 10)
    assert guards() == before + 1
    guard.close()
    wait_until(lambda: guards() <= before)


def test_what_is_merely_cached_is_freed_before_work_is_ended() -> None:
    cached = [150]
    guard = MemoryGuard(100, lambda: 10 + sum(cached), reclaim=cached.clear)
    with guard.watching():
        wait_until(lambda: not cached)
    guard.close()
    assert guard.found is None


def test_work_that_stays_above_the_limit_without_the_cache_is_ended() -> None:
    cached = [150]
    guard = MemoryGuard(100, lambda: 110 + sum(cached), reclaim=cached.clear)
    with pytest.raises(OverLimitError), guard.watching():
        never_end()
    guard.close()
    assert guard.found == 110
