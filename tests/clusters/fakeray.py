"""A Ray that is none: what holds it cannot tell. It writes down its limit of files, and its processes."""

from __future__ import annotations

from pathlib import Path

import psutil

RAY = """
import os, resource, signal, subprocess, sys, time
open("{0}/files", "w").write(str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
if "fail" in sys.argv:
    sys.exit("no room")
child = subprocess.Popen(["sleep", "600"])
open("{0}/pids", "w").write(f"{{os.getpid()}} {{child.pid}}")
def end(*_):
    if "careless" not in sys.argv:
        child.kill()
        child.wait()
    os._exit(0)
signal.signal(signal.SIGTERM, end)
print("Ray runtime started.", flush=True)
time.sleep(600)
"""


def write_fake(folder: Path) -> None:
    """Put it into `folder/fake`, for PYTHONPATH."""
    package = folder / "fake" / "ray" / "scripts"
    package.mkdir(parents=True)
    for name in ("ray/__init__.py", "ray/scripts/__init__.py"):
        (folder / "fake" / name).touch()
    (package / "scripts.py").write_text(RAY.format(folder))


def pids(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
