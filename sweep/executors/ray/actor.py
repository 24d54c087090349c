"""What runs in an actor's process: a worker, reached by plain calls.

One thread trains, and no other touches the worker but its files. Calls that bring turns wait in threads of
their own: the next turn begins while Ray still carries the last one's answer away.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray_contract import SLOT_RESOURCE
from sweep.executors.awake import hold_awake
from sweep.executors.ray.nodes import RayNode
from sweep.executors.ray.setup import NodeAffinitySchedulingStrategy, ray, setproctitle
from sweep.executors.trainer import Trainer
from sweep.vocabulary.own_packages import ROOT
from sweep.vocabulary.trial import Signature
from sweep.vocabulary.turn import Turn, WorkerSettings

TURNS_AT_ONCE = 2
"""How many turns of a slot may be out: one that trains, and one that waits for it."""


def training_worker(settings: WorkerSettings) -> Any:
    """A worker that trains; called in its own process, so that the driver never loads MLX."""
    from sweep.worker.worker import Worker

    return Worker(settings)


class Actor:
    """A worker in a process of its own. `io` is a thread that only reads and writes files."""

    def __init__(self, make_worker: Callable[[WorkerSettings], Any], settings: WorkerSettings) -> None:
        self._awake = hold_awake()
        if str(ROOT) in sys.path[:1] and str(ROOT) in sys.path[1:]:
            del sys.path[0]  # it was put there for `sweep` to be found; the user's folders come first again
        folder = str(Path(settings.task.folder).resolve())  # relative where the folder was sent to this node
        found = replace(settings, task=replace(settings.task, folder=folder))
        self._trainer = Trainer()
        self._worker = self._trainer.submit(lambda: make_worker(found)).result()
        self._task = settings.task
        self._begun = 0
        self._may_begin = threading.Condition()
        self._program: Signature | None = None

    def __repr__(self) -> str:
        """What Ray's dashboard shows beside the actor's name."""
        return str(self._task)

    def info(self) -> Any:
        return self._worker.info()

    @ray.method(concurrency_group="turns")
    def turn(self, pickled: bytes, *incoming: str) -> bytes:
        """Carry out a turn, pickled both ways: Ray's own way for objects takes several times as long.

        What is pickled are its place, which counts the turns before it, since two calls may come in either
        order, and the turn. `incoming` are the checkpoint files of its loads, in order, already on this host.
        """
        turn: Turn
        place, turn = pickle.loads(pickled)
        if incoming:
            turn = turn.with_checkpoints(incoming)
        with self._may_begin:
            self._may_begin.wait_for(lambda: self._begun == place)
            self._show(turn.signature)
            answer = self._trainer.submit(lambda: self._worker.turn(turn))
            self._begun += 1
            self._may_begin.notify_all()
        pickled_result = pickle.dumps(answer.result())
        for path in incoming:
            self._worker.spool.discard(path)
        return pickled_result

    def _show(self, program: Signature) -> None:
        """Name the process after the program.

        Ray names it after the actor's class whenever a call ends, be it one that only reads a file in
        the midst of a turn; so the class, in this process, is called by the same name.
        """
        if program != self._program:
            self._program = program
            type(self).__name__ = process_title(ray.get_runtime_context().get_actor_name(), program)
        setproctitle(f"ray::{type(self).__name__}")

    @ray.method(concurrency_group="io")
    def read_chunk(self, path: str, offset: int) -> bytes:
        chunk: bytes = self._worker.spool.read_chunk(path, offset)
        return chunk

    @ray.method(concurrency_group="io")
    def write_chunk(self, name: str, chunk: bytes) -> str:
        written: str = self._worker.spool.write_chunk(name, chunk)
        return written

    @ray.method(concurrency_group="io")
    def discard(self, path: str) -> None:
        self._worker.spool.discard(path)

    @ray.method(concurrency_group="io")
    def cut_short(self) -> None:
        self._worker.cut_short()

    @ray.method(concurrency_group="io")
    def leave(self) -> None:
        """Remove what it keeps on this host's disk; it is not called again."""
        self._worker.spool.close()


def process_title(actor: str | None, signature: Signature) -> str:
    """What Ray's dashboard and `ps` call a worker's process: the actor, and the program that it is at."""
    return " ".join([str(actor), *(f"{name}={value}" for name, value in signature)])


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
        concurrency_groups={"io": 1, "turns": TURNS_AT_ONCE},
        enable_task_events=False,  # a record a turn for Ray's dashboard costs more than the turn's way
        scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
    )(Actor)
    return actor_class.options(name=name).remote(make_worker, settings)
