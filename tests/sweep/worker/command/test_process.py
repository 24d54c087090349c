"""A process with all that it starts: measured together, ended together, wherever its children went."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sweep.worker.command.family import MARK
from sweep.worker.command.process import Process
from tests.processes import living, wait_until

HELD = """
import os, time
held = bytearray(60_000_000)
held[::4096] = b"x" * len(held[::4096])
print(os.getpid(), flush=True)
time.sleep(1000)
"""

CHILD = """
import os, sys, time
if os.fork() == 0:
    if "away" in sys.argv:
        os.setsid()
    if "unmarked" in sys.argv:
        os.setsid()
        os.execve(sys.executable, [sys.executable, "-c", sys.argv[2]], {})
    held = bytearray(60_000_000)
    held[::4096] = b"x" * len(held[::4096])
    print(os.getpid(), flush=True)
time.sleep(1000)
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["here", "away", "unmarked"])
def test_children_count_and_go_with_it(where: str, tmp_path: Path) -> None:
    environment = {**os.environ, MARK: where}
    process = Process([sys.executable, "-c", CHILD, where, HELD], folder=tmp_path, environment=environment)
    assert process.popen.stdout is not None
    child = int(process.popen.stdout.readline())
    assert process.family.measure() > 60_000_000
    assert process.family.take_peak_bytes() > 60_000_000
    assert process.family.cpu_s > 0
    assert process.exit_code() is None
    assert process.end(5.0, lambda: None) is False
    assert process.exit_code() == -15
    # a process that dies has no environment any more, and is there a while
    wait_until(lambda: not living([child]), what="its child to end")
    process.popen.stdout.close()
    assert process.popen.stderr is not None
    process.popen.stderr.close()
