"""Run on a node for a supervisor: starts Ray as its child, and ends exactly that child with the session.

The two exchange lines of JSON. It is given its config, answers what is there, is given an order, says when
Ray is up, and then hears an empty line every few seconds. Silence, or the end of its stdin, ends the session.
"""

import json
import os
import select
import signal
import time
from contextlib import suppress

from clusters.nodeside.parts.hello import hello
from clusters.nodeside.parts.holding import end_holder, end_ray, holder, try_lock, write_holder
from clusters.nodeside.parts.starting import answers, has_started, start, tail, write_private


class SessionOver(Exception):
    """The supervisor has ended the session, or is gone."""


must_end: list = []


class Supervisor:
    """The other end of stdin and stdout."""

    def __init__(self):
        self.silence_s = 60.0
        self._heard = time.monotonic()
        self._rest = b""

    def hear(self, seconds):
        """The next line that is not empty; None where none came in time. Raises SessionOver."""
        deadline = time.monotonic() + seconds
        while True:
            line, newline, rest = self._rest.partition(b"\n")
            if newline:
                self._rest = rest
                if line.strip():
                    return json.loads(line)
                continue
            if must_end:
                raise SessionOver
            left = deadline - time.monotonic()
            if select.select([0], [], [], min(max(0.0, left), 0.5))[0]:
                read = os.read(0, 65536)
                if not read:
                    raise SessionOver
                self._heard = time.monotonic()
                self._rest += read
            elif time.monotonic() - self._heard > self.silence_s:
                raise SessionOver
            elif left <= 0:
                return None

    def wait_for(self):
        while True:
            line = self.hear(1.0)
            if line is not None:
                return line

    def say(self, **value):
        with suppress(OSError):  # a supervisor that is gone: the next `hear` raises
            os.write(1, json.dumps(value).encode() + b"\n")


def follow(supervisor, config, ray):
    """Say what becomes of Ray, until it ends by itself."""
    log, is_up, is_answering = os.path.expanduser(config["log"]), False, not config["is_head"]
    while ray.poll() is None:
        if not is_answering and answers(config["ip"], config["ports"][0]):
            is_answering = True
            supervisor.say(answers=True)
        if not is_up and has_started(log):
            is_up = True
            supervisor.say(up=True)
        supervisor.hear(1.0 if is_up else 0.1)
    supervisor.say(ended=ray.returncode, log=tail(log))


def main():
    supervisor = Supervisor()
    config = supervisor.wait_for()
    supervisor.silence_s = config["silence_s"]
    path = os.path.expanduser(config["lock"])
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "a+") as lock:
        if not try_lock(lock):
            found = holder(lock)
            if found.get("by") != config["by"] or not end_holder(lock):
                supervisor.say(held=found)
                return
        write_holder(lock, {"agent": os.getpid(), "by": config["by"]})
        supervisor.say(**hello(config))
        order = supervisor.wait_for()
        for file, text in order["files"].items():
            write_private(os.path.expanduser(file), text)
        ray = start(order, os.path.expanduser(config["log"]), lock)
        try:
            write_holder(lock, {"agent": os.getpid(), "ray": ray.pid, "by": config["by"]})
            follow(supervisor, config, ray)
        finally:
            end_ray(ray.pid, reap=ray.poll)
            write_holder(lock, {})


for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda *_: must_end.append(True))
with suppress(SessionOver):
    main()
