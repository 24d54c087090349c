"""The compiled functions of a task and its static hyperparameters: three to train, one to evaluate.

Everything that may change without compiling again is an argument: state, dynamic hyperparameters,
data, indices, masks. At width 1 nothing is mapped; above, one lane's functions are mapped over lanes,
with a mask of the lanes that are due for an update and one of those that take part at all, unless every
lane is due after each whole micro-batch: then nothing is masked and no accumulation buffer is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property, partial
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
from train_core.step.step import LaneState, Over, Step, first, select
from train_core.task import Batch, Task, static_values, task_errors
from train_core.vmap.checkpointed import late, put_in
from train_core.vmap.rules import alone, over_lanes

Hp = dict[str, mx.array]


class Kind(Enum):
    """What a step of all lanes is: which compiled function, and which masks it takes."""

    ACCUMULATE = "no lane is due"
    UPDATE = "every lane is due, after one whole micro-batch"
    MIXED = "any lanes are due, any take part"


@dataclass(frozen=True)
class Functions:
    """The compiled functions at one width; above 1 lanes come first in all but evaluation's batch.

    `train` functions take state, hyperparameters, data, index and masks: MIXED how many examples count and,
    above width 1, which lanes are due and which take part; the others none.
    """

    train: Mapping[Kind, Callable[..., LaneState]]
    evaluate: Callable[..., dict[str, tuple[mx.array, mx.array]]]


class Program:
    """What trials with equal static hyperparameters share; `traces` counts runs of function bodies."""

    def __init__(self, task: Task, static: Static, data: DeviceDataset | None = None) -> None:
        self.task = task
        self.static = static
        self.data = DeviceDataset.of(task, static) if data is None else data
        self.traces = 0
        template = self.build(keys.key(0))
        if not functional.trainable(template):
            raise TaskError(f"{type(task).__name__}.model: there is no trainable parameter; unfreeze some")
        self.step = Step(task, static, template, self._shared(template))
        # Unevaluated but for the template itself.
        self._example = self.step.named(self.step.init(keys.key(0), template))
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
        with keys.generator(key), put_in(late), task_errors(self.task, "model"):
            return self.task.model(**dict(self.static.task))

    @cached_property
    def layout(self) -> dict[str, tuple[tuple[int, ...], mx.Dtype]]:
        """Shape and dtype of one lane's state by path: what a checkpoint has to fit."""
        example = functional.flatten(self._example)
        return {path: (tuple(leaf.shape), leaf.dtype) for path, leaf in example.items()}

    @cached_property
    def paths(self) -> dict[str, Any]:
        """One lane's state, named, with each array's path in its place."""
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
        over: Over = alone if width == 1 else over_lanes
        # Compiled by shape, not `shapeless`: many rules above read the sizes they are traced with.
        bodies: dict[Kind, Callable[..., LaneState]] = {
            Kind.ACCUMULATE: self._accumulate,
            Kind.UPDATE: self._update,
            Kind.MIXED: self._mixed,
        }
        return Functions(
            train={kind: mx.compile(self._counted(partial(body, over))) for kind, body in bodies.items()},
            evaluate=mx.compile(self._counted(partial(self._evaluate, over))),
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
        if not self.step.optimizer.elementwise:  # and such an optimizer in the state of its leaves
            anywhere.append("optimizer")
        return state | {part: tree_map(mx.contiguous, state[part]) for part in anywhere}

    def _accumulate(self, over: Over, state: LaneState, hp: Hp, data: Batch, index: mx.array) -> LaneState:
        return self._settled(self.step.micro_batch(state, hp, gather(data, index), None, over=over))

    def _update(self, over: Over, state: LaneState, hp: Hp, data: Batch, index: mx.array) -> LaneState:
        return self._settled(self.step.at_once(state, hp, gather(data, index), over=over))

    def _mixed(
        self,
        over: Over,
        state: LaneState,
        hp: Hp,
        data: Batch,
        index: mx.array,
        count: mx.array,
        *masks: mx.array,
    ) -> LaneState:
        accumulated = self.step.micro_batch(state, hp, gather(data, index), count, over=over)
        updated = self.step.update(accumulated, hp)
        if masks:
            due, active = masks
            updated = select(active, select(due, updated, accumulated), state)
        return self._settled(updated)

    def _evaluate(
        self, over: Over, state: LaneState, hp: Hp, data: Batch, index: mx.array, count: mx.array
    ) -> dict[str, tuple[mx.array, mx.array]]:
        batch, mask = gather(data, index), first(count, mx.arange(len(index)))

        def lane(
            leaves: functional.Flat, model: functional.Flat, key: mx.array, hp: Hp
        ) -> dict[str, tuple[mx.array, mx.array]]:
            return self.step.evaluate(leaves, model, key, hp, batch, mask)

        leaves = self.step.leaves(state["parameters"])
        found: dict[str, tuple[mx.array, mx.array]] = over(lane)(
            leaves, state["model"], state["keys"]["dropout"], hp
        )
        return found
