"""A micro-batch, an update and an evaluation as pure functions of arrays; nothing is compiled here.

State of a run (a tree of arrays, all of it in a checkpoint; of many lanes, lanes first):
    parameters   float32 master copies                 model     running statistics, what is frozen by run
    optimizer    its moments and `step`                window    the accumulation buffer
    weight       of what the buffer holds              keys      `dropout` and `augment`, threaded
    loss         sum and weight since the last report; last finite one; how many were `finite` in a
                 row from the start, less 1 and negative (-n - 1) once one after these n was not
    loss_scale   float16 only
Parameters, moments and buffer are vectors (see `vector`); `named` gives them by path, for checkpoints.

Only the task's own functions are mapped over lanes, by `over`. What is done to vectors and numbers broadcasts
instead: constants stay constants and kernels few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map

from train_core import keys
from train_core.errors import TaskError
from train_core.hyperparameters import Static, factors_of
from train_core.step import accumulate, functional, groups, precision, schedule
from train_core.step.optim import Optimizer
from train_core.step.scalars import column
from train_core.step.vector import Layout
from train_core.task import (
    Batch,
    Exponential,
    Hyperparameters,
    Mean,
    Task,
    optional_method,
    static_values,
    task_errors,
)

LaneState = dict[str, Any]
Weight = mx.array | float
Dynamic = Mapping[str, mx.array]
Flat = dict[str, mx.array]
Samples = tuple[tuple[str, str], ...]
"""Texts for people: what a model was asked, and what it answered."""

Over = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What makes a function of one run one of all lanes: `vmap.rules.over_lanes`, or what leaves it as it is."""

VECTORS = ("parameters", "window")
"""Parts of the state that are a vector; the optimizer has its own."""


def one_run(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function itself: nothing is mapped."""
    return function


class Step:
    """The pure functions of one program: init, micro_batch, update, evaluate."""

    def __init__(
        self, task: Task, static: Static, model: nn.Module, shared: Mapping[str, mx.array] | None = None
    ) -> None:
        self.task = task
        self.static = static
        linear = {f"{name}.weight" for name, part in model.named_modules() if isinstance(part, nn.Linear)}
        self.layout = Layout.of(functional.trainable(model), linear)
        given = {key: factors_of(getattr(static, key)) or {} for key in ("rate_factors", "decay_factors")}
        for key, factors in given.items():
            groups.check(key, factors, self.layout.paths)
        self.optimizer = Optimizer(
            static.optimizer,
            self.layout,
            rates=(task.rate_factors, given["rate_factors"]),
            decays=(task.decay_factors, given["decay_factors"]),
        )
        self.read: set[str] = set()
        self.exponential: set[str] = set()
        self._model = model
        self._shared = dict(shared or {})
        self._dtype = precision.DTYPES[static.precision]
        self._scaled = self._dtype == mx.float16
        self._augment = getattr(task, "augment", None)
        self._places = mx.arange(static.micro_batch_size)
        mx.eval(self._places)  # and so a constant of the trace: computed once, not in every step

    def init(self, key: mx.array, model: nn.Module) -> LaneState:
        """Return the state of a run before its first micro-batch; `model` was just built."""
        parameters = self.layout.join(precision.master(functional.trainable(model)))
        state: LaneState = {
            "parameters": parameters,
            "model": {p: a for p, a in functional.model_state(model).items() if p not in self._shared},
            "optimizer": self.optimizer.init(parameters),
            "window": mx.zeros(parameters.shape, mx.float32),
            "weight": mx.array(0.0),
            "keys": {
                "dropout": keys.fold_in(key, keys.DROPOUT),
                "augment": keys.fold_in(key, keys.AUGMENT),
            },
            "loss": {
                "sum": mx.array(0.0),
                "weight": mx.array(0.0),
                "last": mx.array(float("nan")),
                "finite": mx.array(0, mx.int32),
            },
        }
        if self._scaled:
            state["loss_scale"] = precision.first_scale(self.static.micro_batch_size)
        return state

    def named(self, state: LaneState) -> LaneState:
        """Return the state with every array by its path in the model."""
        vectors = {part: self.layout.split(state[part]) for part in VECTORS}
        return {**state, **vectors, "optimizer": self.optimizer.named(state["optimizer"])}

    def packed(self, named: LaneState) -> LaneState:
        """Return what `named` took apart."""
        vectors = {part: self.layout.join(named[part]) for part in VECTORS}
        return {**named, **vectors, "optimizer": self.optimizer.packed(named["optimizer"])}

    def leaves(self, parameters: mx.array) -> Flat:
        """Return the parameters by path in the precision of the program: one cast, then views."""
        return self.layout.split(parameters.astype(self._dtype))

    def micro_batch(
        self, state: LaneState, hp: Dynamic, batch: Batch, count: mx.array | None, *, over: Over = one_run
    ) -> LaneState:
        """Add one micro-batch to the accumulation buffer; with `count` only its first so many examples."""
        after, gradient, _ = self._gradient(state, hp, batch, count, over)
        return {**after, "window": accumulate.add(state["window"], state["weight"], gradient)}

    def update(self, state: LaneState, hp: Dynamic) -> LaneState:
        """Divide the buffer once by its weight, clip, update, empty it (see `accumulate.content`)."""
        updated = self._apply(state, state["window"], state["weight"], hp)
        return {**updated, "weight": mx.zeros_like(state["weight"])}

    def at_once(self, state: LaneState, hp: Dynamic, batch: Batch, *, over: Over = one_run) -> LaneState:
        """Return what `micro_batch` and `update` would with an empty buffer, which stays empty."""
        after, gradient, weight = self._gradient(state, hp, batch, None, over)
        return self._apply({**after, "weight": state["weight"]}, gradient, weight, hp)

    def _gradient(
        self, state: LaneState, hp: Dynamic, batch: Batch, count: mx.array | None, over: Over
    ) -> tuple[LaneState, mx.array, Weight]:
        """Return the state with the buffer as it was, the gradient of the summed loss, and its weight."""
        inputs = {
            "leaves": self.leaves(state["parameters"]),
            "model": state["model"],
            "keys": state["keys"],
            "hp": dict(hp),
            "batch": batch,
        }
        if count is not None:
            inputs["count"] = count
        if self._scaled:
            inputs["scale"] = state["loss_scale"]["scale"]
        found = over(self._differentiated)(inputs)
        weight: Weight | None = found.get("weight", count)
        if weight is None:  # lanes come before the examples; a number is part of the kernels that use it
            weight = float(next(iter(batch.values())).shape[state["weight"].ndim])
        held = state["weight"] + weight
        after = {
            **state,
            "model": found["model"],
            "keys": found["keys"],
            "loss": _track(state["loss"], found["total"], weight, held),
            "weight": held,
        }
        return after, self.layout.join(found["gradients"]), weight

    def _differentiated(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """One run's loss and gradients, by the parameters as cast: those are joined to one vector after."""
        threaded, dropout, augment = self._split(inputs["keys"])
        batch = self.augmented(inputs["batch"], augment)

        def summed_loss(leaves: Flat) -> tuple[mx.array, dict[str, Any]]:
            total, weight, model = self._loss(
                called, leaves, inputs["model"], inputs["hp"], batch, inputs.get("count"), dropout
            )
            scaled = total * inputs["scale"] if self._scaled else total
            found = {"total": total, "model": model, "keys": threaded}
            return scaled, found if weight is None else found | {"weight": weight}

        with ExitStack() as called:  # what is checkpointed runs again for its gradient, with the same model
            (_, found), gradients = mx.value_and_grad(summed_loss)(inputs["leaves"])
        return {**found, "gradients": gradients}

    def _apply(self, state: LaneState, summed: mx.array, weight: Weight, hp: Dynamic) -> LaneState:
        if self._scaled:
            weight = weight * state["loss_scale"]["scale"]
        threshold = hp["gradient_clip"] if self.static.gradient_clip else None
        gradient = accumulate.mean(summed, weight, threshold)
        rate = schedule.learning_rate(hp, state["optimizer"]["step"])
        self.read.update(self.optimizer.factors)
        parameters, optimizer = self.optimizer.update(
            state["parameters"], gradient, state["optimizer"], hp, rate
        )
        updated = {**state, "parameters": parameters, "optimizer": optimizer}
        if not self._scaled:
            return updated
        finite = precision.all_finite(summed)
        for part in ("parameters", "optimizer"):
            updated[part] = select(finite, updated[part], state[part])
        return updated | {"loss_scale": precision.next_scale(state["loss_scale"], finite)}

    def evaluate(
        self, leaves: Flat, model: Flat, key: mx.array, hp: Dynamic, batch: Batch, mask: mx.array
    ) -> dict[str, tuple[mx.array, mx.array]]:
        """Return for each metric its weighted values and its weights, both float32 (B,).

        Nothing drops out and no statistic moves; a task that draws anyway draws under `key`.
        """
        with self._called("evaluate", leaves, model, key, hp) as (held, namespace):
            metrics = self.task.evaluate(held.model, batch, namespace)
        if not isinstance(metrics, dict) or not metrics:
            raise TaskError(f"{self._name}.evaluate must return a dict of Mean, got {metrics!r}")
        pairs = {}
        for name, found in metrics.items():
            values, weights = self._mean(f"evaluate[{name!r}]", found, batch)
            if isinstance(found, Exponential):
                self.exponential.add(name)
            weights = mask if weights is None else weights * mask
            pairs[name] = (values * weights, weights)
        return pairs

    def measure(
        self,
        leaves: Flat,
        model: Flat,
        key: mx.array,
        hp: Dynamic,
        *,
        part: str = "validation",
        most: int | None = None,
    ) -> dict[str, float]:
        """Return the metrics of the task's `measure`, which gets the module itself; nothing is traced.

        {} where the task has none. Raises TaskError.
        """
        measure = optional_method(self.task, "measure")
        if measure is None:
            return {}
        with self._called("measure", leaves, model, key, hp) as (_, namespace):
            found = measure(self._model, namespace, part, most)
        if not isinstance(found, Mapping) or not all(
            isinstance(each, int | float) for each in found.values()
        ):
            raise TaskError(f"{self._name}.measure must return a dict of numbers, got {found!r}")
        return {str(name): float(value) for name, value in found.items()}

    def samples(
        self, leaves: Flat, model: Flat, key: mx.array, hp: Dynamic, *, most: int | None = None
    ) -> Samples:
        """Return what the task's `samples` shows of a model, at most so many; () where it has none.

        Raises TaskError.
        """
        samples = optional_method(self.task, "samples")
        if samples is None:
            return ()
        with self._called("samples", leaves, model, key, hp) as (_, namespace):
            found = samples(self._model, namespace, most)
            return tuple((str(asked), str(answered)) for asked, answered in found)

    def augmented(self, batch: Batch, key: mx.array) -> Batch:
        """Return the batch with the task's `augment` mapped over it, an independent subkey an example."""
        if self._augment is None:
            return batch
        size = next(iter(batch.values())).shape[0]
        with keys.generator(key), task_errors(self.task, "augment"):
            found: Batch = mx.vmap(self._augment)(batch, mx.random.split(key, size))
        return found

    def loss(
        self,
        leaves: Flat,
        model: Flat,
        hp: Dynamic,
        batch: Batch,
        count: mx.array | None,
        key: mx.array,
    ) -> tuple[mx.array, mx.array | None, Flat]:
        """Return the sum of the batch's loss, its weight, and the model state after the call.

        The weight is None where examples have none of their own: then it is how many count.
        """
        with ExitStack() as called:
            return self._loss(called, leaves, model, hp, batch, count, key)

    def _loss(
        self,
        called: ExitStack,
        leaves: Flat,
        model: Flat,
        hp: Dynamic,
        batch: Batch,
        count: mx.array | None,
        key: mx.array,
    ) -> tuple[mx.array, mx.array | None, Flat]:
        """As `loss`; the model holds the arrays until `called` ends."""
        held, namespace = called.enter_context(self._called("loss", leaves, model, key, hp))
        found = self.task.loss(held.model, batch, namespace)
        after = {path: leaf for path, leaf in held.state().items() if path not in self._shared}
        values, weights = self._mean("loss", found, batch)
        mask = None if count is None else first(count, self._places)
        if weights is None:
            return _sum(values, mask), None, after
        weights = weights if mask is None else weights * mask
        return _sum(values, weights), weights.sum(), after

    @contextmanager
    def _called(
        self, method: str, leaves: Flat, model: Flat, key: mx.array, hp: Dynamic
    ) -> Iterator[tuple[functional.Bound, Hyperparameters]]:
        """Give a method of the task its model and `hp`, randomness under `key`, errors with a place."""
        visible = {name: value for name, value in hp.items() if name not in schedule.FIXED}
        namespace = Hyperparameters(visible, static_values(self.static))
        with (
            functional.bound(
                self._model,
                leaves,
                model | self._shared,
                training=method == "loss",
                dtype=self._dtype,
                deterministic=self.task.deterministic,
            ) as held,
            keys.generator(key),
            task_errors(self.task, method, namespace),
        ):
            yield held, namespace
        self.read.update(namespace.dynamic_read)

    def _mean(self, where: str, found: Any, batch: Batch) -> tuple[mx.array, mx.array | None]:
        size = next(iter(batch.values())).shape[0]
        if isinstance(found, mx.array):
            found = Mean(found)
        if not isinstance(found, Mean) or found.values.shape != (size,):
            got = f"shape {found.values.shape}" if isinstance(found, Mean) else repr(type(found))
            raise TaskError(
                f"{self._name}.{where} must return one value per example, shape ({size},); got {got}"
            )
        if found.weights is not None and found.weights.shape != (size,):
            got = f"shape {found.weights.shape}"
            raise TaskError(
                f"{self._name}.{where} must return one weight per example, shape ({size},); got {got}"
            )
        weights = None if found.weights is None else found.weights.astype(mx.float32)
        return found.values.astype(mx.float32), weights

    def _split(self, held: Flat) -> tuple[Flat, mx.array, mx.array]:
        dropout, used = _pair(held["dropout"])
        if self._augment is None:
            return {"dropout": dropout, "augment": held["augment"]}, used, held["augment"]
        augment, spent = _pair(held["augment"])
        return {"dropout": dropout, "augment": augment}, used, spent

    @property
    def _name(self) -> str:
        return type(self.task).__name__


def _sum(values: mx.array, weights: mx.array | None) -> mx.array:
    return values.sum() if weights is None else (values * weights).sum()


def _pair(key: mx.array) -> tuple[mx.array, mx.array]:
    first, second = mx.split(mx.random.split(key).reshape(-1), 2)  # indexing would gather
    return first, second


def first(count: mx.array, places: mx.array) -> mx.array:
    """Return a float32 mask of the first `count` of `places`, which are 0, 1, 2, ..."""
    return (places < count).astype(mx.float32)


def select(condition: mx.array, new: Any, old: Any) -> Any:
    """Return `new` where a run's condition holds, else `old`, for two trees of one shape."""

    def choose(n: mx.array, o: mx.array) -> mx.array:
        return o if n is o else mx.where(column(condition, n), n, o)

    return tree_map(choose, new, old)


def _track(loss: Flat, total: mx.array, weight: Weight, held: mx.array) -> Flat:
    """Return what is known of the loss with one micro-batch more; `held` is the buffer's weight with it."""
    # A chain, each from the one before: so all of it becomes one fused kernel, the buffer's weight too.
    summed = loss["sum"] + total  # stays non-finite until the next report
    weighed = loss["weight"] + weight
    counted = mx.where(mx.isfinite(summed), loss["finite"] + 1, -loss["finite"] - 1)
    finite = mx.where(loss["finite"] < 0, loss["finite"], counted)
    mean = mx.where(mx.minimum(weighed, held) > 0, total / accumulate.divisor(weight), 0.0)
    return {
        "sum": summed,
        "weight": weighed,
        "last": mx.where(finite < 0, loss["last"], mean),
        "finite": finite,
    }
