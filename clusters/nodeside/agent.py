"""Held on a node by the keeper: starts Ray as its child, and ends exactly that child when it is let go.

Spoken with by lines of JSON. It is told what it needs, says what is there, is told to go, says when Ray is
up, and from then on hears an empty line now and then. Silence, or the end of its stdin, means: let go.
"""

import json
import os
import select
import signal
import time
from contextlib import suppress

from clusters.nodeside.holding import end_holder, end_ray, holder, try_lock, write_holder
from clusters.nodeside.meeting import hello
from clusters.nodeside.starting import answers, has_started, start, tail, write_private


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


def hold(keeper, told, ray):
    """Say what becomes of Ray, until it ends by itself."""
    log, is_up, is_answering = os.path.expanduser(told["log"]), False, not told["is_head"]
    while ray.poll() is None:
        if not is_answering and answers(told["ip"], told["ports"][0]):
            is_answering = True
            keeper.say(answers=True)
        if not is_up and has_started(log):
            is_up = True
            keeper.say(up=True)
        keeper.hear(1.0 if is_up else 0.1)
    keeper.say(ended=ray.returncode, log=tail(log))


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
        order = keeper.wait_for()
        for file, text in order["files"].items():
            write_private(os.path.expanduser(file), text)
        ray = start(order, os.path.expanduser(told["log"]), lock)
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
