"""The lock that an agent and its Ray share: its holder, and how to end it.

`ray start` has the lock's file open too, so the lock is free only when both are gone. In it stands JSON:
agent and ray, their process ids, and `by`: a supervisor's name, or that it is the node's own service.
"""

import fcntl
import json
import os
import signal
import subprocess
import time

END_S, STRAGGLERS_S = 15.0, 2.0
DAEMON = "a daemon"


def try_lock(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder(file):
    """The lock's holder; {} where it has not written its name yet."""
    file.seek(0)
    try:
        return json.loads(file.read() or "{}")
    except ValueError:
        return {}


def held_by(path):
    """The holder of the lock at `path`; None where it is free."""
    path = os.path.expanduser(path)
    if not os.path.exists(path):
        return None
    with open(path, "a+") as lock:
        return None if try_lock(lock) else holder(lock)


def write_holder(file, value):
    file.seek(0)
    file.truncate()
    file.write(json.dumps(value) if value else "")
    file.flush()


def send(kill, pid, number):
    """Signal a process or a group that may be gone already; whether it was there."""
    try:
        kill(pid, number)
    except (ProcessLookupError, PermissionError):  # of a group of zombies macOS says the latter
        return False
    return True


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def end_ray(pid, reap=lambda: None):
    """End `ray start`, which ends what it started, and then what is left of its group."""

    def gone(kill):
        reap()
        return not send(kill, pid, 0)

    send(os.kill, pid, signal.SIGTERM)
    wait_until(lambda: gone(os.kill), END_S)
    if not wait_until(lambda: gone(os.killpg), STRAGGLERS_S):
        send(os.killpg, pid, signal.SIGKILL)
        wait_until(lambda: gone(os.killpg), END_S)


def parent_of(pid):
    said = subprocess.run(
        ["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()
    return int(said) if said else None


def end_holder(file):
    """End the holder, an agent or a Ray that outlived its agent, and take the lock; whether it is ours."""
    found = holder(file)
    agent, ray = found.get("agent"), found.get("ray")
    if ray is not None and parent_of(ray) not in (None, agent):
        end_ray(ray)
    elif agent is not None:
        send(os.kill, agent, signal.SIGTERM)
    return wait_until(lambda: try_lock(file), 2 * END_S + 5)
