"""Ray as the child of an agent or daemon: how it is started, how it is known to be up, the files around it.

`log` is the path of the file that `ray start` writes, `lock` the open file that it shares with its holder.
"""

import json
import os
import resource
import socket
import subprocess

from clusters.nodeside.parts.raycommand import ray_command

STARTED = "Ray runtime started"
OPEN_FILES = (65_536, 49_152, 24_576, 10_240)


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def read_json(path):
    """What a file holds; None where there is none."""
    text = read(path)
    return None if text is None else json.loads(text)


def write_private(path, text):
    """Write a file that only its owner may read; at any moment it is old or new, never half."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    os.replace(f"{path}.new", path)


def raise_open_files():
    """Raise the limit as far as it goes: macOS says "unlimited" and refuses more than its kernel allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in OPEN_FILES:
        if soft != resource.RLIM_INFINITY and soft < wanted:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            except (ValueError, OSError):
                continue
        return


def start(order, log, lock):
    """`ray start --block` in a group of its own, which shares the lock."""
    raise_open_files()
    arguments = [os.path.expanduser(argument) for argument in order["start"]]
    environment = {name: os.path.expanduser(value) for name, value in order["environment"].items()}
    project = os.path.expanduser(order["project"])
    if os.path.isdir(project):  # `sync` has been here
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [project, os.environ.get("PYTHONPATH")]))
    with open(log, "w") as said:
        return subprocess.Popen(
            [*ray_command(), "start", *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )


def answers(ip, port):
    try:
        socket.create_connection((ip, port), 1).close()
    except OSError:
        return False
    return True


def has_started(log):
    return STARTED in (read(log) or "")


def tail(log):
    return (read(log) or "")[-4000:]
