"""The compiled functions of a task and its static hyperparameters: three to train, one to evaluate.

Everything that may change without compiling again is an argument: state, dynamic hyperparameters,
data, indices, masks. At width 1 nothing is mapped; above, one lane's functions are mapped over lanes,
with a mask of the lanes that are due for an update and one of those that take part at all, unless every
lane is due after each micro-batch: then nothing is masked and no accumulation buffer is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_map, tree_map_with_path

from train_core import keys, numpy_boundary
from train_core.data.device_dataset import DeviceDataset, gather
from train_core.errors import TaskError
from train_core.hyperparameters import Static
from train_core.lanes import shared_arrays
from train_core.step import functional
from train_core.step.step import LaneState, Step, first, select
from train_core.task import Batch, Task, static_values, task_errors
from train_core.vmap.rules import alone, over_lanes

Hp = dict[str, mx.array]


class Kind(Enum):
    """What a step of all lanes is: which compiled function, and which masks it takes."""

    ACCUMULATE = "no lane is due"
    UPDATE = "every lane is due, after one micro-batch"
    MIXED = "any lanes are due, any take part"


@dataclass(frozen=True)
class Functions:
    """The compiled functions at one width; above 1 lanes come first in all but evaluation's batch.

    `train` functions take state, hyperparameters, data, index and masks: ACCUMULATE none, UPDATE how many
    examples count, MIXED also which lanes are due and which take part (at width 1 neither).
    """

    train: Mapping[Kind, Callable[..., LaneState]]
    evaluate: Callable[..., dict[str, tuple[mx.array, mx.array]]]


class Program:
    """What trials with equal static hyperparameters share; `traces` counts runs of function bodies."""

    def __init__(self, task: Task, static: Static, data: DeviceDataset | None = None) -> None:
        self.task = task
        self.static = static
        self.data = DeviceDataset.of(task) if data is None else data
        self.traces = 0
        template = self.build(keys.key(0))
        self.step = Step(task, static, template, self._shared(template))
        self._example = self.step.init(keys.key(0), template)  # unevaluated but for the template itself
        if not self._example["parameters"]:
            raise TaskError(f"{type(task).__name__}.model: there is no trainable parameter; unfreeze some")
        self.functions = cache(self._functions)

    def _shared(self, template: nn.Module) -> functional.Flat:
        if not functional.model_state(template):
            return {}
        first = np.zeros(self.static.micro_batch_size, np.uint32)
        other = self.build(keys.key(1))
        return shared_arrays.arrays(self.task, self.static, template, other, self.data.batch("train", first))

    def build(self, key: mx.array) -> nn.Module:
        """Build the task's model with its initial parameters drawn under `key`."""
        model = self._built(key)
        mx.eval(model.parameters())
        return model

    def init(self, key: mx.array) -> LaneState:
        """Return the state of the run with this key before its first micro-batch."""
        return self.step.init(key, self.build(keys.fold_in(key, keys.INIT)))

    def init_lanes(self, parents: Sequence[mx.array]) -> LaneState:
        """Return the states of runs with these keys, lanes first, as `init` gives them one by one."""
        if len(parents) > 1 and self._maps_init:
            return self._mapped_init(parents)
        return tree_map(lambda *leaves: mx.stack(list(leaves)), *map(self.init, parents))  # type: ignore[no-any-return]

    @cached_property
    def _maps_init(self) -> bool:
        """Whether building the model maps over keys: it is tried, since MLX maps some assignments wrongly."""
        parents = [keys.fold_in(keys.key(0), n) for n in range(2)]
        try:
            lanes = functional.flatten(self._mapped_init(parents))
            mx.eval(lanes)
        except (ValueError, RuntimeError, TaskError):
            return False
        alone = [functional.flatten(self.init(parent)) for parent in parents]
        return all(
            numpy_boundary.raw_bytes(lanes[path][i]) == numpy_boundary.raw_bytes(leaf)
            for i, state in enumerate(alone)
            for path, leaf in state.items()
        )

    def _mapped_init(self, parents: Sequence[mx.array]) -> LaneState:
        """As `init_lanes`, in operations whose number does not grow with the lanes."""

        def one(key: mx.array) -> LaneState:
            return self.step.init(key, self._built(keys.fold_in(key, keys.INIT)))

        states: LaneState = tree_map(mx.contiguous, mx.vmap(one)(mx.stack(list(parents))))
        return states

    def _built(self, key: mx.array) -> nn.Module:
        with keys.generator(key), task_errors(self.task, "model"):
            return self.task.model(**dict(self.static.task))

    @cached_property
    def layout(self) -> dict[str, tuple[tuple[int, ...], mx.Dtype]]:
        """Shape and dtype of one lane's state by path: what a checkpoint has to fit."""
        example = functional.flatten(self._example)
        return {path: (tuple(leaf.shape), leaf.dtype) for path, leaf in example.items()}

    @cached_property
    def paths(self) -> dict[str, Any]:
        """One lane's state with each array's path in its place."""
        paths: dict[str, Any] = tree_map_with_path(lambda path, _: path, self._example)
        return paths

    @property
    def description(self) -> dict[str, str]:
        """The static hyperparameters as text, for checkpoints and messages."""
        return {name: str(value) for name, value in static_values(self.static).items()}

    @property
    def evaluation_batch_size(self) -> int:
        """Examples an evaluation step takes: no backward pass, so several micro-batches."""
        return min(4 * self.static.micro_batch_size, self.data.validation_size)

    def _functions(self, width: int) -> Functions:
        one: dict[Kind, Callable[..., LaneState]] = {
            Kind.ACCUMULATE: alone(self._accumulate),
            Kind.UPDATE: alone(self._update),
            Kind.MIXED: alone(self._mixed),
        }
        lanes: dict[Kind, Callable[..., LaneState]] = {
            Kind.ACCUMULATE: self._accumulate_lanes,
            Kind.UPDATE: self._update_lanes,
            Kind.MIXED: self._mixed_lanes,
        }
        # Compiled by shape, not `shapeless`: many rules above read the sizes they are traced with.
        bodies = one if width == 1 else lanes
        return Functions(
            train={kind: mx.compile(self._counted(body)) for kind, body in bodies.items()},
            evaluate=mx.compile(self._counted(alone(self._evaluate) if width == 1 else self._evaluate_lanes)),
        )

    def _counted(self, body: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.traces += 1  # Python runs only while tracing: so many times was it compiled
            return body(*arguments)

        return counted

    def _settled(self, state: LaneState) -> LaneState:
        """Return the state in row-major layout, as a snapshot has it.

        A product's last bits depend on how its factors lie in memory. Most of the state is computed
        element by element from itself and stays row-major; a copy of it would stop updates from fusing.
        """
        anywhere = ["model"]  # a task's model may leave anything there
        if self.static.optimizer == "adafactor":  # see `scalars.beside`: so are its numbers operands
            anywhere.append("optimizer")
        return state | {part: tree_map(mx.contiguous, state[part]) for part in anywhere}

    def _accumulate(self, state: LaneState, hp: Hp, data: Batch, index: mx.array) -> LaneState:
        return self._settled(self.step.micro_batch(state, hp, gather(data, index), None))

    def _update(self, state: LaneState, hp: Hp, data: Batch, index: mx.array, count: mx.array) -> LaneState:
        return self._settled(self.step.at_once(state, hp, gather(data, index), count))

    def _mixed(self, state: LaneState, hp: Hp, data: Batch, index: mx.array, count: mx.array) -> LaneState:
        accumulated = self.step.micro_batch(state, hp, gather(data, index), count)
        return self._settled(self.step.update(accumulated, hp))

    def _accumulate_lanes(self, state: LaneState, hp: Hp, data: Batch, index: mx.array) -> LaneState:
        def lane(state: LaneState, hp: Hp, batch: Batch) -> LaneState:
            return self.step.micro_batch(state, hp, batch, None, mapped=True)

        return self._settled(over_lanes(lane)(state, hp, gather(data, index)))

    def _update_lanes(
        self, state: LaneState, hp: Hp, data: Batch, index: mx.array, count: mx.array
    ) -> LaneState:
        def lane(state: LaneState, hp: Hp, batch: Batch, count: mx.array) -> LaneState:
            return self.step.at_once(state, hp, batch, count, mapped=True)

        return self._settled(over_lanes(lane)(state, hp, gather(data, index), count))

    def _mixed_lanes(
        self,
        state: LaneState,
        hp: Hp,
        data: Batch,
        index: mx.array,
        count: mx.array,
        due: mx.array,
        active: mx.array,
    ) -> LaneState:
        def lane(
            state: LaneState, hp: Hp, batch: Batch, count: mx.array, due: mx.array, active: mx.array
        ) -> LaneState:
            accumulated = self.step.micro_batch(state, hp, batch, count, mapped=True)
            updated = self.step.update(accumulated, hp, mapped=True)
            updated = select(due, updated, accumulated, mapped=True)
            return select(active, updated, state, mapped=True)  # type: ignore[no-any-return]

        return self._settled(over_lanes(lane)(state, hp, gather(data, index), count, due, active))

    def _evaluate(
        self, state: LaneState, hp: Hp, data: Batch, index: mx.array, count: mx.array
    ) -> dict[str, tuple[mx.array, mx.array]]:
        batch, mask = gather(data, index), first(count, mx.arange(len(index)))
        return self.step.evaluate(
            state["parameters"], state["model"], state["keys"]["dropout"], hp, batch, mask
        )

    def _evaluate_lanes(
        self, state: LaneState, hp: Hp, data: Batch, index: mx.array, count: mx.array
    ) -> dict[str, tuple[mx.array, mx.array]]:
        batch, mask = gather(data, index), first(count, mx.arange(len(index)))

        def lane(state: LaneState, hp: Hp) -> dict[str, tuple[mx.array, mx.array]]:
            return self.step.evaluate(
                state["parameters"], state["model"], state["keys"]["dropout"], hp, batch, mask
            )

        mapped: dict[str, tuple[mx.array, mx.array]] = over_lanes(lane)(state, hp)
        return mapped
