"""Held on a node by the keeper: starts Ray as its child, and ends exactly that child when it is let go.

Spoken with by lines of JSON. It is told what it needs, says what is there, is told to go, says when Ray is
up, and from then on hears an empty line now and then. Silence, or the end of its stdin, means: let go.
"""

import hashlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

from clusters.nodeside.holding import end_holder, end_ray, holder, try_lock, write_holder
from clusters.nodeside.listening import listen
from clusters.nodeside.versions import versions

STARTED = "Ray runtime started"
OPEN_FILES = 65_536
PROBES_S = 20


class LetGo(Exception):
    """Nobody holds this any more."""


told_to_end: list = []


class Keeper:
    """Who holds this agent, at the other end of stdin and stdout."""

    def __init__(self):
        self.silence_s = 60.0
        self._heard = time.monotonic()
        self._rest = b""

    def hear(self, seconds):
        """The next line that is not empty; None where none came in time. Raises LetGo on silence and end."""
        deadline = time.monotonic() + seconds
        while True:
            line, newline, rest = self._rest.partition(b"\n")
            if newline:
                self._rest = rest
                if line.strip():
                    return json.loads(line)
                continue
            if told_to_end:
                raise LetGo
            left = deadline - time.monotonic()
            if select.select([0], [], [], min(max(0.0, left), 0.5))[0]:
                read = os.read(0, 65536)
                if not read:
                    raise LetGo
                self._heard = time.monotonic()
                self._rest += read
            elif time.monotonic() - self._heard > self.silence_s:
                raise LetGo
            elif left <= 0:
                return None

    def wait_for(self):
        while True:
            line = self.hear(1.0)
            if line is not None:
                return line

    def say(self, **value):
        with suppress(OSError):  # who does not hear it has gone, and the next `hear` says so
            os.write(1, json.dumps(value).encode() + b"\n")


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def write_private(path, text):
    """A file that nobody else may read, old or new but never half."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    os.replace(f"{path}.new", path)


def hello(told):
    ports: dict = {}
    for ip, wanted in ((told["ip"], told["ports"]), ("127.0.0.1", told["local_ports"])):
        servers, states = listen(ip, wanted)
        ports |= states
        for server in servers:
            server.close()
    probes = subprocess.run(
        ["/bin/sh", "-c", told["probes"]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROBES_S,
    )
    token = read(os.path.expanduser(told["token"]))
    said = {"versions": versions(), "ports": ports, "probes": probes.stdout}
    said["token_sha256"] = hashlib.sha256(token.encode()).hexdigest() if token else None
    if told["is_head"]:
        said["token"] = token
    return said


def start(told, order, lock):
    """`ray start --block` in a group of its own, which shares the lock."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    for path, text in order["files"].items():
        write_private(os.path.expanduser(path), text)
    arguments = [os.path.expanduser(argument) for argument in order["start"]]
    environment = {name: os.path.expanduser(value) for name, value in order["environment"].items()}
    project = os.path.expanduser(order["project"])
    if os.path.isdir(project):  # `sync` has been here
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [project, os.environ.get("PYTHONPATH")]))
    with open(os.path.expanduser(told["log"]), "w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )


def answers(ip, port):
    try:
        socket.create_connection((ip, port), 1).close()
    except OSError:
        return False
    return True


def hold(keeper, told, ray):
    """Say what becomes of Ray, until it ends by itself."""
    log, is_up, is_answering = os.path.expanduser(told["log"]), False, not told["is_head"]
    while ray.poll() is None:
        if not is_answering and answers(told["ip"], told["ports"][0]):
            is_answering = True
            keeper.say(answers=True)
        if not is_up and STARTED in (read(log) or ""):
            is_up = True
            keeper.say(up=True)
        keeper.hear(1.0 if is_up else 0.1)
    keeper.say(ended=ray.returncode, log=(read(log) or "")[-4000:])


def main():
    keeper = Keeper()
    told = keeper.wait_for()
    keeper.silence_s = told["silence_s"]
    path = os.path.expanduser(told["lock"])
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "a+") as lock:
        if not try_lock(lock):
            found = holder(lock)
            if found.get("by") != told["by"] or not end_holder(lock):
                keeper.say(held=found)
                return
        write_holder(lock, {"agent": os.getpid(), "by": told["by"]})
        keeper.say(**hello(told))
        ray = start(told, keeper.wait_for(), lock)
        try:
            write_holder(lock, {"agent": os.getpid(), "ray": ray.pid, "by": told["by"]})
            hold(keeper, told, ray)
        finally:
            end_ray(ray.pid, reap=ray.poll)
            write_holder(lock, {})


for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda *_: told_to_end.append(True))
with suppress(LetGo):
    main()
