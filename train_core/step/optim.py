"""Every optimizer of `mlx.optimizers` as two pure functions, its numbers traced arrays.

MLX's optimizers keep `learning_rate` in their state and the other numbers as Python attributes, and
some branch on those (`if self.weight_decay != 0`). `Traced` passes such a branch and then computes
with the array, so MLX's own code runs unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import mlx.optimizers
from mlx.utils import tree_map

from train_core.hyperparameters import OPTIMIZERS
from train_core.step.scalars import beside

Tree = dict[str, Any]

NUMBERS = ("beta_1", "beta_2", "momentum", "weight_decay")
"""Hyperparameters an optimizer may use besides its learning rate."""


class Traced:
    """A traced number that answers a comparison with 0 as a positive one, and computes as its array."""

    def __init__(self, value: mx.array) -> None:
        self.value = value

    def __mlx_array__(self) -> mx.array:
        return self.value

    def __gt__(self, other: float) -> bool:
        return True

    def __le__(self, other: float) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]

    def __mul__(self, other: mx.array) -> mx.array:
        return self.value * other

    def __rsub__(self, other: float) -> mx.array:
        return other - self.value

    def __neg__(self) -> mx.array:
        return -self.value


class Muon(mlx.optimizers.Muon):
    """MLX's Muon with tall matrices laid out row-major, so that a lane's product equals that alone."""

    def _zeropower_via_newtonschulz5(self, X: mx.array, steps: int) -> mx.array:
        tall = X.shape[0] > X.shape[1]
        wide = mx.contiguous(X.T) if tall else X
        found: mx.array = super()._zeropower_via_newtonschulz5(wide, steps)
        return found.T if tall else found


class Optimizer:
    """`init` and `update` over a flat dict of parameters, by an optimizer of MLX."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._class: Any = Muon if name == "muon" else getattr(mlx.optimizers, OPTIMIZERS[name].class_name)

    def init(self, parameters: Mapping[str, mx.array]) -> Tree:
        """Return the state before the first update; `step` counts updates."""
        optimizer = self._make()
        optimizer.init(dict(parameters))
        return {name: leaf for name, leaf in optimizer.state.items() if name != "learning_rate"}

    def update(
        self,
        parameters: Mapping[str, mx.array],
        gradients: Mapping[str, mx.array],
        state: Tree,
        hp: Mapping[str, mx.array],
        learning_rate: mx.array,
        *,
        mapped: bool = False,
    ) -> tuple[dict[str, mx.array], Tree]:
        """Return parameters and state after one update; the inputs stay as they are.

        `mapped` says that this is traced under `mx.vmap` (see `scalars.beside`).
        """
        optimizer = self._make()
        # MLX writes into its state: hand it fresh containers (tree_map copies them).
        fresh = {**tree_map(lambda leaf: leaf, state), "step": state["step"] + 1}
        updated = {}
        for path, gradient in gradients.items():
            leaf = parameters[path]
            numbers = {name: beside(leaf, hp[name], mapped=mapped) for name in NUMBERS}
            optimizer.state = {
                "learning_rate": beside(leaf, learning_rate, mapped=mapped),
                "step": beside(leaf, fresh["step"], mapped=mapped and self.name != "adafactor"),
            }
            gradient = self._set(optimizer, numbers, gradient, leaf)
            updated[path] = optimizer.apply_single(gradient, leaf, fresh[path])
        return updated, fresh

    def _set(
        self, optimizer: Any, numbers: Mapping[str, mx.array], gradient: mx.array, parameter: mx.array
    ) -> mx.array:
        """Give the optimizer its numbers; return the gradient, decayed where MLX has no decay for it."""
        if hasattr(optimizer, "betas"):
            optimizer.betas = (numbers["beta_1"], numbers["beta_2"])
        if hasattr(optimizer, "momentum"):
            optimizer.momentum = Traced(numbers["momentum"])
        if hasattr(optimizer, "weight_decay"):
            optimizer.weight_decay = Traced(numbers["weight_decay"])
            return gradient
        return gradient + numbers["weight_decay"] * parameter  # the L2 penalty's gradient, as its SGD has it

    def _make(self) -> Any:
        match self.name:
            case "adafactor":  # by default it ignores the learning rate it is given
                return self._class(learning_rate=0.0, relative_step=False)
            case "adam" | "adamw":  # as in the papers; MLX leaves it out by default
                return self._class(learning_rate=0.0, bias_correction=True)
            case _:
                return self._class(learning_rate=0.0)
