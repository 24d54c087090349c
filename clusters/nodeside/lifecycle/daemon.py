"""Keeps Ray up on a node as a system service: follows order.json beside it, without a login.

With an order, Ray is started once a head elsewhere answers, and started again when it ends, at once where it
lasted. With another order, Ray is ended and started by that one. Without one, it only waits for one.
state.json holds its state; SIGTERM ends Ray, and then this program.
"""

import json
import os
import signal
import socket
import sys
import time

from clusters.nodeside.parts.holding import DAEMON, end_holder, end_ray, holder, try_lock, write_holder
from clusters.nodeside.parts.starting import has_started, start, tail, write_private

LOOK_EVERY_S = 0.5
RETRY_S, LASTED_S = 10.0, 10.0
CONNECT_S = 3.0
START_S = 150.0
ASK_HEAD_S, SILENT_HEAD_S = 1.0, 15.0


class Over(Exception):
    """The order has changed or is gone, or this service is to end."""


must_end: list = []


def mark(path):
    """Tells one order from the next, which replaces its file; None where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


class Work:
    """An order being carried out, from when its file was found to when that has changed."""

    def __init__(self, folder, found):
        self._file = f"{folder}/order.json"
        self._state_file = f"{folder}/state.json"
        self._lock_file = f"{folder}/agent.lock"
        self._log = f"{folder}/agent.log"
        self._mark = found
        self._said: dict = {}
        with open(self._file) as file:
            self._order = json.load(file)

    def serve(self):
        """Raises Over, sooner or later."""
        with open(self._lock_file, "a+") as lock:
            while not self._is_ours(lock):
                self._say("ended", why=f"held by {holder(lock).get('by', 'an agent that is starting')}")
                self._pause(RETRY_S)
            try:
                failed = 0
                while True:
                    began = time.monotonic()
                    failed = 0 if self._once(lock, failed) else failed + 1
                    lasted = failed == 0 and time.monotonic() - began > LASTED_S
                    if failed != 1 and not lasted:  # on a very busy machine a second try may succeed at once
                        self._pause(RETRY_S)
            finally:
                write_holder(lock, {})

    def _is_ours(self, lock):
        return try_lock(lock) or (holder(lock).get("by") == DAEMON and end_holder(lock))

    def _once(self, lock, failed):
        """One life of Ray; whether it was up."""
        own = {"agent": os.getpid(), "by": DAEMON}
        write_holder(lock, own)
        self._wait_for_others()
        self._say("starting")
        ray = start(self._order, self._log, lock)
        try:
            write_holder(lock, {**own, "ray": ray.pid})
            was_up, why = self._watch(ray)
        finally:
            end_ray(ray.pid, reap=ray.poll)
            write_holder(lock, own)  # its number may soon be another's
        self._say("ended", failed=0 if was_up else failed + 1, why=why, log=tail(self._log))
        return was_up

    def _watch(self, ray):
        """Until Ray ends, or its head does; whether it was up, and why it ended."""
        is_up, heard = False, time.monotonic()
        deadline = heard + START_S
        while ray.poll() is None:
            if not is_up and has_started(self._log):
                is_up = True
                self._say("up")
            if not is_up and time.monotonic() > deadline:
                return False, f"not up within {START_S:.0f} s"
            self._pause(ASK_HEAD_S if is_up else LOOK_EVERY_S)
            try:
                self._ask_head()
                heard = time.monotonic()
            except ConnectionRefusedError:
                # The Ray that this one belongs to is gone, and the next one there will not know this one.
                return is_up, "its head has ended"
            except OSError:
                if time.monotonic() - heard > SILENT_HEAD_S:
                    return is_up, "its head does not answer"
        return is_up, f"ended with exit code {ray.returncode}"

    def _wait_for_others(self):
        """The node's own address, as after a reboot, and the head."""
        while not is_there(self._order["ip"]):
            self._say("waiting", why=f"waiting for its address, {self._order['ip']}")
            self._pause(2 * LOOK_EVERY_S)
        while not self._head_answers():
            ip, port = self._order["head"]
            self._say("waiting", why=f"waiting for the head to answer on {ip}:{port}")
            self._pause(2 * LOOK_EVERY_S)

    def _head_answers(self):
        try:
            self._ask_head()
        except OSError:
            return False
        return True

    def _ask_head(self):
        if self._order["head"] is not None:
            socket.create_connection(self._order["head"], CONNECT_S).close()

    def _pause(self, seconds):
        deadline = time.monotonic() + seconds
        while True:
            if must_end or mark(self._file) != self._mark:
                raise Over
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, LOOK_EVERY_S))

    def _say(self, phase, **more):
        said = {"order": self._order["id"], "phase": phase, **more}
        if said != {name: self._said[name] for name in self._said if name != "since_s"}:
            self._said = {**said, "since_s": time.time()}
            write_private(self._state_file, json.dumps(self._said))


def is_there(ip):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
    return True


def main():
    folder = os.path.dirname(os.path.abspath(sys.argv[0]))
    is_fresh = True
    while not must_end:
        found = mark(f"{folder}/order.json")
        if found is None:
            if os.path.exists(f"{folder}/state.json"):
                os.remove(f"{folder}/state.json")
            is_fresh = False
            time.sleep(LOOK_EVERY_S)
            continue
        if not is_fresh:  # with the order may have come another version of this program
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
        is_fresh = False
        try:
            Work(folder, found).serve()
        except (Over, FileNotFoundError):  # gone before it was read
            continue


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: must_end.append(True))
    main()
