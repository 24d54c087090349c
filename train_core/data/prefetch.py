"""Examples of a source on their way to the device: read by a thread ahead of the steps that need them.

Each lane's micro-batches are read once, in the order of its sampler; what an unloaded run had ahead is
dropped. The thread calls the source and nothing else: MLX's arrays belong to the thread that trains.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from train_core.data import index_sampler
from train_core.data.buckets import Buckets
from train_core.data.sources import Indices, Reader
from train_core.lanes.chunk import Chunk
from train_core.lanes.lane import LaneRun
from train_core.task import Batch

CHUNK_BYTES = 64_000_000
"""About how much of a source one chunk holds; the chunk after it is read at the same time."""

Arrays = dict[str, npt.NDArray[Any]]


class _Ahead(NamedTuple):
    indices: Indices
    arrays: Future[Arrays]


class Queue:
    """Micro-batches asked for ahead of their use, by lane."""

    def __init__(self, read: Callable[[Indices], Arrays]) -> None:
        self._read = read
        # One thread: a source is never called twice at once, and reads come in the order asked for.
        self._thread = ThreadPoolExecutor(1, "train_core.data.prefetch")
        self._lanes: dict[int, deque[_Ahead]] = {}

    def take(self, lane: int, wanted: Iterable[Indices]) -> list[Arrays]:
        """Return micro-batches in order, waiting for those still to be read."""
        wanted, ahead = list(wanted), self._lanes.setdefault(lane, deque())
        # What is ahead may be another run's, loaded into this lane since, or this one's from before a resume.
        if not all(np.array_equal(a.indices, w) for a, w in zip(ahead, wanted, strict=False)):
            self.drop(lane)
        self.extend(lane, wanted)
        return [ahead.popleft().arrays.result() for _ in wanted]

    def extend(self, lane: int, wanted: Iterable[Indices]) -> None:
        """Have micro-batches read that are wanted next, those that already are not again."""
        ahead = self._lanes.setdefault(lane, deque())
        for indices in list(wanted)[len(ahead) :]:
            ahead.append(_Ahead(indices, self._thread.submit(self._read, indices)))

    def drop(self, lane: int) -> None:
        """Forget what was asked for."""
        for asked in self._lanes.get(lane, ()):
            asked.arrays.cancel()
        self._lanes.get(lane, deque()).clear()


class Prefetcher:
    """A population's training examples, a chunk at a time, the next one being read meanwhile."""

    def __init__(
        self, reader: Reader, width: int, micro_batch_size: int, buckets: Buckets | None = None
    ) -> None:
        self._reader = reader
        self._buckets = buckets
        self._width = width
        self._size = micro_batch_size
        self._queue = Queue(reader.read)
        rows = np.arange(width * micro_batch_size, dtype=np.uint32).reshape(width, micro_batch_size)
        self._index = mx.array(rows if width > 1 else rows[0])

    @property
    def max_steps(self) -> int:
        """How many steps a chunk may hold."""
        return max(1, CHUNK_BYTES // (self._reader.example_bytes * self._width * self._size))

    def steps(self, chunk: Chunk, lanes: Mapping[int, LaneRun], limit: int) -> list[tuple[Batch, mx.array]]:
        """Return for each step its examples, of all lanes one after the other, and their index.

        Afterwards each lane's next micro-batches, at most `limit`, are on their way.
        """
        count, shape = len(chunk.order), (self._width, self._size)
        held = {
            name: np.zeros((count, *shape, *rest), dtype)
            for name, (rest, dtype) in self._reader.layout.items()
        }
        taken = {lane: self._queue.take(lane, chunk.order[:n, lane]) for lane, n in chunk.advanced.items()}
        self._look_ahead(chunk, lanes, limit)  # before the copies below, so that reading goes on beside them
        for lane, micro_batches in taken.items():
            for step, arrays in enumerate(micro_batches):
                for name, array in arrays.items():
                    held[name][step, lane] = array
        # One upload a chunk: rows of it are views, an upload a step would cost the host more than the step.
        uploaded = {name: mx.array(a.reshape(count, -1, *a.shape[3:])) for name, a in held.items()}
        steps = [{name: a[step] for name, a in uploaded.items()} for step in range(count)]
        if self._buckets is not None:
            padded = self._buckets.padded
            steps = [
                {name: a[:, :width] if name in padded else a for name, a in step.items()}
                for step, width in zip(steps, chunk.widths, strict=True)
            ]
        return [(step, self._index) for step in steps]

    def _look_ahead(self, chunk: Chunk, lanes: Mapping[int, LaneRun], limit: int) -> None:
        wanted = {}
        for lane, n in chunk.advanced.items():
            held = lanes[lane]
            count = min(limit, held.total - held.done - n)
            if count > 0:
                wanted[lane] = held.sampler, (held.done + n) * self._size, count * self._size
        index_sampler.fill(list(wanted.values()))
        for lane, (sampler, position, examples) in wanted.items():
            self._queue.extend(lane, sampler.take(position, examples).reshape(-1, self._size))
