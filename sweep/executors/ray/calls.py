"""Calls to actors whose answers are awaited, and the answers as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sweep.executors.ray.setup import ray
from sweep.vocabulary.trial import Snapshot


@dataclass(frozen=True)
class Hello:
    """The first call to a new worker: it answers once its process has started."""

    slot: str


@dataclass(frozen=True)
class Ping:
    """The second call, whose way there and back is timed from `began`."""

    slot: str
    began: float


@dataclass(frozen=True)
class TurnCall:
    """A turn."""

    slot: str


@dataclass(frozen=True)
class ChunkCall:
    """A piece of a snapshot, from `offset` on."""

    slot: str
    snapshot: Snapshot
    offset: int


Call = Hello | Ping | TurnCall | ChunkCall


class PendingCalls:
    """What is awaited, by Ray's references."""

    def __init__(self) -> None:
        self._calls: dict[Any, Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, reference: Any, call: Call) -> None:
        self._calls[reference] = call

    def forget(self, slot: str) -> None:
        """Await nothing more of a slot."""
        self._calls = {reference: call for reference, call in self._calls.items() if call.slot != slot}

    def collect(self, timeout_s: float) -> list[tuple[Call, Any]]:
        """All calls that are answered, with their references, or the first that is within `timeout_s`."""
        references = list(self._calls)
        done, _ = ray.wait(references, num_returns=len(references), timeout=0)
        if not done:
            done, _ = ray.wait(references, num_returns=1, timeout=timeout_s)
        return [(self._calls.pop(reference), reference) for reference in sorted(done, key=references.index)]
