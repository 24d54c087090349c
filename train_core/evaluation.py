"""Reports: validation of all lanes at once, and what they cost in time.

Validation sums are float64 on the CPU stream, over values that the device returns unreduced.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from train_core import boundary, device
from train_core.program import Program
from train_core.step import State

Pair = tuple[mx.array, mx.array]
Evaluate = Callable[..., dict[str, Pair]]


@dataclass(frozen=True)
class LaneReport:
    """A run's metrics at one boundary.

    `examples` is the nominal boundary, the last one the run's length; `error` says what went wrong
    when the training loss was not finite.
    """

    lane: int
    examples: int
    epoch: float
    updates: int
    metrics: Mapping[str, float]
    finished: bool
    error: str | None = None


@dataclass
class Clock:
    """Where the time of one advance went, in seconds, and its steps."""

    train_s: float = 0.0
    evaluate_s: float = 0.0
    compile_s: float = 0.0
    steps: int = 0
    lane_steps: int = 0

    @contextmanager
    def compiling(self, program: Program) -> Iterator[None]:
        """Book the block as compilation when a function body ran in it."""
        traces, started = program.traces, time.perf_counter()
        yield
        if program.traces != traces:
            self.compile_s += time.perf_counter() - started


class Evaluation:
    """The validation set as batches of one shape, and how a population's lanes fare on it."""

    def __init__(self, program: Program, width: int) -> None:
        self.program = program
        self.width = width
        size, batch = program.data.validation_size, program.evaluation_batch_size
        batches = -(-size // batch)
        index = np.arange(batches * batch, dtype=np.uint32) % size
        counts = np.full(batches, batch, np.float32)
        counts[-1] = size - (batches - 1) * batch
        self._index = list(mx.array(index.reshape(batches, batch)))
        self._counts = list(mx.array(counts))

    def metrics(
        self, evaluate: Evaluate, state: State, hp: dict[str, mx.array], clock: Clock
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Return the metrics, one value a lane: train_loss and validation_<name>."""
        sums: dict[str, Pair] = {}
        seen = {name: state[name] for name in ("parameters", "model", "keys")}
        for index, count in zip(self._index, self._counts, strict=True):
            with clock.compiling(self.program):
                pairs = evaluate(seen, hp, self.program.data.validation, index, count)
                mx.async_eval(pairs)
            sums = {name: _added(sums.get(name), pair) for name, pair in pairs.items()}
            mx.async_eval(sums)
        means = {f"validation_{name}": self._mean(*pair) for name, pair in sums.items()}
        return {"train_loss": self._mean(state["loss"]["sum"], state["loss"]["weight"]), **means}

    def errors(self, state: State) -> list[str | None]:
        """Return what went wrong in each lane, or None."""
        loss = state["loss"]
        failed, last = self._read(loss["failed"]), self._read(loss["last"])
        scale = self._read(state["loss_scale"]["scale"]) if "loss_scale" in state else None
        return [_error(i, failed, last, scale) for i in range(self.width)]

    def _read(self, leaf: mx.array) -> npt.NDArray[Any]:
        return boundary.to_numpy(leaf).reshape(self.width)

    def _mean(self, total: mx.array, weight: mx.array) -> npt.NDArray[np.float64]:
        sums, weights = (self._read(leaf).astype(np.float64) for leaf in (total, weight))
        means = np.full(self.width, np.nan)
        np.divide(sums, weights, out=means, where=weights > 0)
        return means


def _added(sums: Pair | None, pair: Pair) -> Pair:
    with device.float64_scope():
        value, weight = (leaf.astype(mx.float64).sum(axis=-1) for leaf in pair)
        return (value, weight) if sums is None else (sums[0] + value, sums[1] + weight)


def _error(
    lane: int, failed: npt.NDArray[Any], last: npt.NDArray[Any], scale: npt.NDArray[Any] | None
) -> str | None:
    if failed[lane] < 0:
        return None
    scaled = "" if scale is None else f", loss scale {scale[lane]:g}"
    return (
        f"the training loss was not finite in update {failed[lane] + 1}; the last finite loss was "
        f"{last[lane]:.6g}{scaled}; a lower learning rate, warm-up or clipping may help"
    )
