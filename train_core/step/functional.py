"""An `nn.Module` as a function of its arrays; purity ends at `bound`, which puts everything back.

A module's arrays are of two kinds, each a flat dict by path (`layers.0.weight`):
    parameters   what it trains (`trainable`)
    state        frozen parameters and running statistics (`model_state`): a result of training beside
                 the gradients, fixed in evaluation
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from train_core import keys
from train_core.errors import HyperparameterError
from train_core.step import variants
from train_core.step.precision import DTYPES, at_boundary, cast

Flat = dict[str, mx.array]


class Differentiated(NamedTuple):
    """A value, its gradients in the shape of the parameters, and the model state after the call."""

    value: mx.array
    gradients: Any
    state: Flat


class Bound(NamedTuple):
    """A module that holds given arrays: `model` is what to call, `state()` the model state by now."""

    model: Any
    state: Callable[[], Flat]


def flatten(tree: Mapping[str, Any]) -> Flat:
    """Return a tree's arrays by path."""
    flat: Flat = dict(tree_flatten(dict(tree)))
    return flat


def trainable(module: nn.Module) -> Flat:
    """Return the trainable parameters by their path in the tree (`layers.0.weight`)."""
    return flatten(module.trainable_parameters())


def model_state(module: nn.Module) -> Flat:
    """Return the other arrays: frozen parameters as they are, running statistics in float32."""
    learned = trainable(module)
    others = {path: leaf for path, leaf in flatten(module.parameters()).items() if path not in learned}
    return {path: cast(leaf, mx.float32) if is_statistic(path) else leaf for path, leaf in others.items()}


def value_and_grad(
    function: Callable[..., mx.array], module: nn.Module | None = None, *, precision: str = "float32"
) -> Callable[..., Differentiated]:
    """Return a pure function that gives the value of `function` and its gradients.

    Without a module: `function(parameters, *args)` over any tree of arrays becomes
    `f(parameters, *args)`. With one: `function(model, *args)` becomes
    `f(parameters, state, *args, key=key)`; the module is called in training mode, computes in
    `precision`, and draws all its random numbers under `key`. It holds the same arrays afterwards.
    The result can be compiled and mapped. Gradients come back in the parameters' dtype.
    """
    if module is None:
        differentiated = mx.value_and_grad(function)  # made once: a new one a call would be a new trace
        return lambda parameters, *args: Differentiated(*differentiated(parameters, *args), {})
    run = pure(function, module, training=True, precision=precision)

    def call(parameters: Any, state: Mapping[str, mx.array], *args: Any, key: mx.array) -> Differentiated:
        def value(parameters: Any) -> tuple[mx.array, Flat]:
            found, after = run(parameters, state, *args, key=key)
            return found, after

        (found, after), gradients = mx.value_and_grad(value)(parameters)
        return Differentiated(found, gradients, after)

    return call


def pure(
    function: Callable[..., Any], module: nn.Module, *, training: bool = False, precision: str = "float32"
) -> Callable[..., tuple[Any, Flat]]:
    """Return `function(model, *args)` as `f(parameters, state, *args, key=key) -> (result, state)`.

    In evaluation nothing drops out and the state comes back as it went in.
    """
    dtype = _dtype(precision)

    def call(
        parameters: Mapping[str, Any], state: Mapping[str, mx.array], *args: Any, key: mx.array
    ) -> tuple[Any, Flat]:
        with bound(module, flatten(parameters), state, training=training, dtype=dtype) as held:
            with keys.generator(key):
                result = function(held.model, *args)
            return result, held.state() if training else dict(state)

    return call


@contextmanager
def bound(
    module: nn.Module,
    parameters: Mapping[str, mx.array],
    state: Mapping[str, mx.array],
    *,
    training: bool,
    dtype: mx.Dtype = mx.float32,
    deterministic: bool = False,
) -> Iterator[Bound]:
    """Run a block with these arrays in the module; afterwards it holds what it held, no traced array.

    Parameters and frozen weights are cast to `dtype`, running statistics are not: they are float32
    at any precision. What a layer writes comes back from `state()` in the dtype that went in.
    """
    # A module that keeps a tracer after its trace keeps the whole graph alive and fails at its next call.
    before = read(module, [*parameters, *state])
    was_training = [(part, part.training) for part in module.modules()]
    placed = {path: leaf if is_statistic(path) else cast(leaf, dtype) for path, leaf in state.items()}

    def after() -> Flat:
        # What no layer wrote is handed back as it came: the same array, so nothing is cast there and back.
        found = read(module, state)
        return {
            path: leaf if found[path] is placed[path] else found[path].astype(leaf.dtype)
            for path, leaf in state.items()
        }

    place(module, {path: cast(leaf, dtype) for path, leaf in parameters.items()} | placed)
    module.train(training)
    try:
        with variants.swapped(module, reduced=dtype != mx.float32, deterministic=deterministic):
            yield Bound(at_boundary(module, dtype), after)
    finally:
        place(module, before)
        for part, mode in was_training:
            part._set_training_mode(mode)


def is_statistic(path: str) -> bool:
    """Whether a frozen array is a running statistic rather than a frozen weight: by MLX's naming."""
    return path.rpartition(".")[2].startswith("running_")


def place(module: nn.Module, arrays: Mapping[str, mx.array]) -> None:
    """Put arrays into the module, in place."""
    if arrays:
        module.update(tree_unflatten(list(arrays.items())))


def read(module: nn.Module, paths: Any) -> Flat:
    """Return what stands at `paths` now."""
    found = flatten(module.parameters())
    return {path: found[path] for path in paths}


def _dtype(name: str) -> mx.Dtype:
    if name not in DTYPES:
        raise HyperparameterError(f"precision must be one of {', '.join(DTYPES)}, got {name!r}")
    return DTYPES[name]
