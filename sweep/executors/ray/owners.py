"""Which nodes are their owners' now: a small actor on each node looks there, every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ray_contract.owner import OwnerRules, Taken, ask_idle, taken
from sweep.executors.ray.deadline import call_with_timeout
from sweep.executors.ray.nodes import RayNode
from sweep.executors.ray.setup import NodeAffinitySchedulingStrategy, RayError, ray

LOOK_EVERY_S = 2.0
HEAR_EVERY_S = 0.5
AGAIN_S = 10.0
"""After an actor was lost, how long until another is started on its node."""


@dataclass(frozen=True)
class Look:
    """What an actor saw: whether the node is taken; `blind`: when it was last typed at is not known."""

    taken: Taken | None
    blind: bool = False


class Looker:
    """What runs on a node, in a process of its own that loads next to nothing."""

    def __init__(self, rules: OwnerRules) -> None:
        self._rules = rules

    def look(self) -> Look:
        """By this node's own clock and files."""
        idle_s = ask_idle() if self._rules.idle_s is not None else None
        blind = self._rules.idle_s is not None and idle_s is None
        return Look(taken(self._rules, now=time.time(), idle_s=idle_s), blind)


def start_looker(node: RayNode, rules: OwnerRules) -> Any:
    """A handle of an actor on the node; it takes no slot. Raises RayError, TimeoutError."""
    remote: Any = ray.remote  # its types do not know all options
    actor_class = remote(
        num_cpus=0,
        max_restarts=0,
        enable_task_events=False,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
    )(Looker)
    return call_with_timeout(lambda: actor_class.remote(rules), late=ray.kill)


@dataclass
class _Watched:
    """`asked` is the reference of a look that is awaited; `seen` the last one."""

    actor: Any = None
    asked: Any = None
    due: float = 0.0
    seen: Look | None = None


class Owners:
    """Asks all nodes; no call waits for a node, and for Ray's head only where it has just answered."""

    def __init__(
        self,
        rules: Callable[[str], OwnerRules],
        *,
        start: Callable[[RayNode, OwnerRules], Any] = start_looker,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rules` are those of the node of a name."""
        self._rules = rules
        self._start = start
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._heard = -HEAR_EVERY_S
        self._may_start = False

    def poll(self, nodes: Mapping[str, RayNode], *, head_answers: bool) -> dict[str, Look]:
        """What was last seen of each node, by id; a node that has not answered yet is left out.

        Actors are started where Ray's head has just answered: the call waits for it.
        """
        self._may_start = self._may_start or head_answers
        if self._clock() - self._heard >= HEAR_EVERY_S:
            self._heard = self._clock()
            self._look_at(nodes)
            self._may_start = False
        return {id: each.seen for id, each in self._watched.items() if each.seen is not None}

    def _look_at(self, nodes: Mapping[str, RayNode]) -> None:
        for id in self._watched.keys() - nodes.keys():
            del self._watched[id]  # an actor ends with its last handle
        for id, node in nodes.items():
            watched = self._watched.setdefault(id, _Watched())
            try:
                self._hear(watched)
                if watched.asked is None and self._clock() >= watched.due:
                    self._ask(watched, node)
            except (RayError, TimeoutError) as error:
                watched.actor = watched.asked = None
                watched.due = self._clock() + AGAIN_S
                self._may_start = self._may_start and not isinstance(error, TimeoutError)

    def _ask(self, watched: _Watched, node: RayNode) -> None:
        if watched.actor is None and self._may_start:
            watched.actor = self._start(node, self._rules(node.name))
        if watched.actor is not None:
            watched.asked = watched.actor.look.remote()

    def _hear(self, watched: _Watched) -> None:
        if watched.asked is None:
            return
        done, _ = ray.wait([watched.asked], timeout=0)
        if done:
            watched.seen = ray.get(watched.asked)
            watched.asked, watched.due = None, self._clock() + LOOK_EVERY_S


class LeftNodes:
    """The nodes that are left to their owners: `why`, by id."""

    def __init__(self, owners: Owners | None) -> None:
        self._owners = owners
        self._blind: set[str] = set()
        self.why: dict[str, str] = {}

    def look(self, nodes: Mapping[str, RayNode], *, head_answers: bool) -> list[str]:
        """Enter what was seen of the nodes; what to say of it."""
        looks = {} if self._owners is None else self._owners.poll(nodes, head_answers=head_answers)
        said = []
        for id, look in looks.items():
            if id not in nodes:
                continue
            name, before = nodes[id].name, self.why.pop(id, None)
            if look.taken is not None:
                self.why[id] = look.taken.why
                if before != look.taken.why:
                    said.append(f"{name} is left to its owner: {look.taken.why}")
            elif before is not None:
                said.append(f"{name} is used again")
            if look.blind and id not in self._blind:
                self._blind.add(id)
                said.append(
                    f"{name}: it cannot be told when it was last typed at: `owner_first` does not count"
                )
        return said
