"""Slots that are shared with other studies, by the broker of this machine or one that is a Ray actor.

The actor has a name, so that there is one for the whole cluster, and outlives the driver that made it.
Where it has died the next driver that asks makes another.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from sweep.executors.base import Assignment
from sweep.executors.ray.deadline import call_with_timeout
from sweep.executors.ray.nodes import first_line
from sweep.executors.ray.setup import RayActorError, ray
from sweep.executors.sharing.broker import Broker
from sweep.executors.sharing.local import LocalLine
from sweep.executors.sharing.messages import BrokerError, Share, Standing
from sweep.executors.sharing.seat import Seat

NAME, NAMESPACE = "broker", "sweep-broker"

ON_HEAD = {"node:__internal_head__": 0.001}
"""A resource that Ray's head alone has."""

ANSWERS_WITHIN_S = 5.0
"""How long the actor may take, its start included; a driver asks again."""


def seat_of(assignment: Assignment) -> Seat | None:
    """The slots of a study, here or on its cluster; None where it does not say how it shares them."""
    if assignment.share is None:
        return None
    line = LocalLine() if assignment.cluster is None else ActorLine()
    return Seat(_standing(assignment, assignment.share), line)


def _standing(assignment: Assignment, share: Share) -> Standing:
    user, host = _user(), socket.gethostname()
    return Standing(
        study=f"{user}@{host}:{assignment.runs.resolve() / assignment.study}",
        session=secrets.token_hex(8),
        name=assignment.study,
        user=user,
        host=host,
        share=share,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an id without a name
        return str(os.getuid())


class BrokerActor:
    """The broker in a process of its own, on the head."""

    def __init__(self) -> None:
        self._broker = Broker(secrets.token_hex(4), time.monotonic())

    def answer(self, said: Mapping[str, Any]) -> dict[str, Any]:
        return self._broker.answer(said, time.monotonic())


class ActorLine:
    """The way to the cluster's broker; where none is there and it `hosts`, it makes one."""

    def __init__(self, *, hosts: bool = True) -> None:
        self._hosts = hosts
        self._actor: Any = None
        self._lock = threading.Lock()

    def call(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises BrokerError where it does not answer."""
        with self._lock:
            if not ray.is_initialized() or (self._actor is None and said.get("call") == "left"):
                raise BrokerError("there is no broker to ask")  # Ray would start one of its own
            try:
                self._actor = self._actor or self._found()
                answer: Mapping[str, Any] = ray.get(self._actor.answer.remote(said), timeout=ANSWERS_WITHIN_S)
            except RayActorError as error:
                self._actor = None
                raise BrokerError("the broker has died; another is started") from error
            except Exception as error:  # Ray raises many kinds where an actor, or its head, is not there
                self._actor = None
                raise BrokerError(f"the cluster's broker does not answer: {first_line(error)}") from error
            return answer

    def close(self) -> None:
        """Leave the broker to other studies."""

    def _found(self) -> Any:
        if not self._hosts:
            return call_with_timeout(lambda: ray.get_actor(NAME, namespace=NAMESPACE))
        remote: Any = ray.remote  # its types do not know all of this
        made = remote(num_cpus=0, max_restarts=0, resources=ON_HEAD, enable_task_events=False)
        named = made(BrokerActor).options(
            name=NAME, namespace=NAMESPACE, lifetime="detached", get_if_exists=True
        )
        return call_with_timeout(named.remote)
