"""What an executor is, how a study file's `executor` makes one, and what it is made for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from sweep.executors.cluster import Cluster
from sweep.executors.sharing.messages import Share
from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import SlotJoined, SlotLost, SlotReclaimed, Turn, TurnDone, WorkerSettings


@dataclass(frozen=True)
class Chunk:
    """A piece of a snapshot that is being gathered, in order; an empty one ends it."""

    slot: str
    snapshot: Snapshot
    data: bytes


@dataclass(frozen=True)
class Said:
    """A message for people that asks for nothing."""

    text: str


ExecutorEvent = SlotJoined | SlotLost | SlotReclaimed | TurnDone | Chunk | Said


class Executor(Protocol):
    """Slots that carry out turns. No call but `wait` and `start` may block.

    Turns of a slot are carried out in the order given. Once `SlotLost` is reported for a slot, nothing
    further comes from it; the executor starts a worker in its stead by itself and reports it as another
    slot. `slots` is how many it means to have.
    """

    slots: int

    def start(self) -> None:
        """Begin to start workers; each is reported by a `SlotJoined`. Raises SweepError."""

    def submit(self, slot: str, turn: Turn) -> None: ...

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        """Fetch a snapshot's bytes, reported as `Chunk`s; the worker's own file is deleted at the end."""

    def discard(self, slot: str, snapshot: Snapshot) -> None: ...

    def replace(self, slot: str, reason: str) -> None:
        """End a worker, whatever it is doing, and start another."""

    def cut_short(self) -> None:
        """Have workers end turns before their reports from here on; safe to call from a signal handler."""

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        """What has happened: all that is there, or the first thing within `timeout_s`."""

    def close(self) -> None:
        """End all workers that `start` began, and nothing else."""


@runtime_checkable
class SharedExecutor(Protocol):
    """An executor that shares slots with other studies; one of them is taken back by `SlotReclaimed`."""

    def want(self, slots: float, ends_in_s: float | None, idle: Collection[str]) -> None:
        """How many slots the study has work for, and when it ends, as far as that is known.

        Those of `idle` hold no trial: they are given back first.
        """

    def release(self, slot: str) -> None:
        """End a worker whose runs are saved, and give its slot back; nothing more is heard of it."""

    def ask_for(self, share: Share) -> None:
        """The study has another share."""


@dataclass(frozen=True)
class Traits:
    """What an executor needs and brings, known before one is made.

    `uses_cluster`: it runs on the cluster that the study names, which must be up; else it stays on this
    machine. `in_process`: it trains in the driver's own process, with one slot. `has_dashboard`: Ray runs in
    the driver's process, with its dashboard and its metrics endpoint. `by_program`: a Python program asks for
    the trials and trains them.
    """

    uses_cluster: bool = False
    in_process: bool = False
    has_dashboard: bool = False
    by_program: bool = False


@dataclass(frozen=True)
class Assignment:
    """What an executor is made for; `slots` and `gpus` are what this machine has for it.

    `folder` is the study file's, `runs` where run directories lie. `cluster` is None on this machine. With a
    `share` the study shares slots with others.
    """

    study: str
    settings: WorkerSettings
    folder: Path
    runs: Path
    slots: int = 1
    gpus: int = 0
    cluster: Cluster | None = None
    share: Share | None = None


class ExecutorFactory(Protocol):
    """What `executor` names in a study file: built with the arguments that stand there, if any.

    Its module is light: what an executor needs is imported in `make`. One of ours is `FACTORY` of the module
    `sweep.executors.NAME`; any other is a class that can be imported, `package.module:Class`.
    """

    traits: Traits

    def prepare(self, cluster: Cluster | None) -> None:
        """Begin what takes long and needs no task, such as imports; returns at once."""

    def make(self, assignment: Assignment) -> Executor: ...
