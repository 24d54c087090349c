"""What runs in an actor's process: a worker, reached by plain calls."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.awake import hold_awake
from sweep.executors.ray_nodes import SLOT_RESOURCE, RayNode
from sweep.executors.ray_setup import NodeAffinitySchedulingStrategy, ray, setproctitle
from sweep.trial import Signature
from sweep.turn import Turn, WorkerSettings


def training_worker(settings: WorkerSettings) -> Any:
    """A worker that trains; called in its own process, so that the driver never loads MLX."""
    from sweep.worker import Worker

    return Worker(settings)


class Actor:
    """A worker in a process of its own. `io` is a thread that only reads and writes files."""

    def __init__(self, make_worker: Callable[[WorkerSettings], Any], settings: WorkerSettings) -> None:
        self._awake = hold_awake()
        folder = str(Path(settings.task.folder).resolve())  # relative where the study's folder travelled
        self._worker = make_worker(replace(settings, task=replace(settings.task, folder=folder)))
        self._task = settings.task
        self._program: Signature | None = None
        self._title = ""

    def __repr__(self) -> str:
        """What Ray's dashboard shows beside the actor's name."""
        return str(self._task)

    def info(self) -> Any:
        return self._worker.info()

    def turn(self, pickled: bytes, *incoming: str) -> bytes:
        """Carry out a turn, pickled both ways: Ray's own way for objects takes several times as long.

        `incoming` are the checkpoint files of the turn's loads, in order, already on this host.
        """
        turn: Turn = pickle.loads(pickled)
        if turn.signature != self._program:
            self._program = turn.signature
            self._title = process_title(ray.get_runtime_context().get_actor_name(), turn.signature)
        setproctitle(self._title)  # Ray puts its own there between two calls
        return pickle.dumps(self._worker.turn(turn.with_checkpoints(incoming) if incoming else turn))

    @ray.method(concurrency_group="io")
    def read_chunk(self, path: str, offset: int) -> bytes:
        chunk: bytes = self._worker.spool.read_chunk(path, offset)
        return chunk

    @ray.method(concurrency_group="io")
    def write_chunk(self, name: str, chunk: bytes, first: bool) -> str:
        written: str = self._worker.spool.write_chunk(name, chunk, first=first)
        return written

    @ray.method(concurrency_group="io")
    def discard(self, path: str) -> None:
        self._worker.spool.discard(path)


def process_title(actor: str | None, signature: Signature) -> str:
    """What Ray's dashboard and `ps` call a worker's process: the actor, and the program that it is at."""
    return " ".join([f"ray::{actor}", *(f"{name}={value}" for name, value in signature)])


def start_actor(
    node: RayNode, name: str, make_worker: Callable[[WorkerSettings], Any], settings: WorkerSettings
) -> Any:
    """A handle of a new actor in one of the node's slots; it waits there until the slot is free."""
    remote: Any = ray.remote  # its types know no concurrency groups
    actor_class = remote(
        num_cpus=1,
        num_gpus=node.gpus / node.slots,
        resources={SLOT_RESOURCE: 1.0},
        max_restarts=0,
        max_task_retries=0,
        concurrency_groups={"io": 1},
        enable_task_events=False,  # a record a turn for Ray's dashboard costs more than the turn's way
        scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
    )(Actor)
    return actor_class.options(name=name).remote(make_worker, settings)
