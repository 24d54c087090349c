"""Every optimizer of `mlx.optimizers` as two pure functions, its numbers traced arrays.

MLX's optimizers keep `learning_rate` in their state and the other numbers as Python attributes, and
some branch on those (`if self.weight_decay != 0`). `Traced` passes such a branch and then computes
with the array, so MLX's own code runs unchanged: on the vector of all parameters where it works element by
element, else leaf by leaf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mlx.core as mx
import mlx.optimizers
from mlx.utils import tree_map

from train_core.hyperparameters import OPTIMIZERS, Factor
from train_core.step.groups import Groups
from train_core.step.scalars import beside, column, once
from train_core.step.vector import Layout

Tree = dict[str, Any]

NUMBERS = ("beta_1", "beta_2", "bias_correction", "momentum", "optimizer_eps", "weight_decay")
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


class Beta(Traced):
    """A decay rate whose power is how much of a mean is still missing: 0 without bias correction."""

    def __init__(self, value: mx.array, corrected: mx.array) -> None:
        super().__init__(value)
        self.corrected = corrected

    def __pow__(self, other: mx.array) -> mx.array:
        return once(self.value**other * self.corrected)  # one power an update, not one an element


class Muon(mlx.optimizers.Muon):
    """MLX's Muon with tall matrices laid out row-major, so that a lane's product equals that alone."""

    def _zeropower_via_newtonschulz5(self, X: mx.array, steps: int) -> mx.array:
        tall = X.shape[0] > X.shape[1]
        wide = mx.contiguous(X.T) if tall else X
        found: mx.array = super()._zeropower_via_newtonschulz5(wide, steps)
        return found.T if tall else found


class Optimizer:
    """`init` and `update` over the vector of all parameters, by an optimizer of MLX."""

    def __init__(
        self,
        name: str,
        layout: Layout,
        *,
        rates: Sequence[Mapping[str, Factor]] = (),
        decays: Sequence[Mapping[str, Factor]] = (),
    ) -> None:
        self.name = name
        self.layout = layout
        self._rates, self._decays = Groups(layout, rates), Groups(layout, decays)
        self.factors = (*self._rates.names, *self._decays.names)
        """The hyperparameters that rate or decay of some parameters are multiplied by."""
        self.elementwise = OPTIMIZERS[name].elementwise
        self._class: Any = Muon if name == "muon" else getattr(mlx.optimizers, OPTIMIZERS[name].class_name)

    def init(self, vector: mx.array) -> Tree:
        """Return one run's state before the first update; `step` counts updates."""
        optimizer = self._make()
        if self.elementwise:
            slots: Tree = {}
            optimizer.init_single(vector, slots)
            return {"step": optimizer.state["step"], **slots}
        optimizer.init(self.layout.split(vector))
        return {name: leaf for name, leaf in optimizer.state.items() if name != "learning_rate"}

    def update(
        self,
        vector: mx.array,
        gradient: mx.array,
        state: Tree,
        hp: Mapping[str, mx.array],
        learning_rate: mx.array,
    ) -> tuple[mx.array, Tree]:
        """Return parameters and state after one update of a run or of lanes; the inputs stay as they are."""
        if self.elementwise:
            return self._update_all(vector, gradient, state, hp, learning_rate)
        if learning_rate.ndim:
            # No rules for lanes here: these optimizers multiply and reduce whole leaves, which mx.vmap maps.
            lanes: Any = mx.vmap(lambda *inputs: self._update_leaves(*inputs, mapped=True))
            vector, state = lanes(vector, gradient, state, dict(hp), learning_rate)
            return vector, state
        return self._update_leaves(vector, gradient, state, hp, learning_rate, mapped=False)

    def named(self, state: Tree) -> Tree:
        """Return the state by path of the parameters, as checkpoints have it."""
        if not self.elementwise:
            return state
        slots = {name: self.layout.split(leaf) for name, leaf in state.items() if name != "step"}
        return {"step": state["step"]} | {
            path: {name: leaves[path] for name, leaves in slots.items()} for path in self.layout.paths
        }

    def packed(self, named: Tree) -> Tree:
        """Return what `named` took apart."""
        if not self.elementwise:
            return named
        slots = named[self.layout.paths[0]]
        return {"step": named["step"]} | {
            name: self.layout.join({path: named[path][name] for path in self.layout.paths}) for name in slots
        }

    def _update_all(
        self,
        vector: mx.array,
        gradient: mx.array,
        state: Tree,
        hp: Mapping[str, mx.array],
        learning_rate: mx.array,
    ) -> tuple[mx.array, Tree]:
        optimizer = self._make()
        step = state["step"] + 1
        slots = {name: leaf for name, leaf in state.items() if name != "step"}  # MLX writes into its state
        numbers = {name: column(hp[name], vector) for name in NUMBERS}
        numbers["weight_decay"] = self._decays.along(numbers["weight_decay"], vector, hp)
        rate = self._rates.along(column(once(learning_rate), vector), vector, hp)
        optimizer.state = {"learning_rate": rate, "step": column(step, vector)}
        updated = optimizer.apply_single(self._set(optimizer, numbers, gradient, vector), vector, slots)
        return updated, {"step": step, **slots}

    def _update_leaves(
        self,
        vector: mx.array,
        gradient: mx.array,
        state: Tree,
        hp: Mapping[str, mx.array],
        learning_rate: mx.array,
        *,
        mapped: bool,
    ) -> tuple[mx.array, Tree]:
        optimizer = self._make()
        # MLX writes into its state: hand it fresh containers (tree_map copies them).
        fresh = {**tree_map(lambda leaf: leaf, state), "step": state["step"] + 1}
        parameters, updated = self.layout.split(vector), {}
        for path, leaf_gradient in self.layout.split(gradient).items():
            # Row-major: the last bits of Muon's products depend on how matrices lie in memory.
            leaf, leaf_gradient = mx.contiguous(parameters[path]), mx.contiguous(leaf_gradient)
            own = {**hp, "weight_decay": self._decays.at(path, hp["weight_decay"], hp)}
            numbers = {name: beside(leaf, own[name], mapped=mapped) for name in NUMBERS}
            optimizer.state = {
                "learning_rate": beside(leaf, self._rates.at(path, learning_rate, hp), mapped=mapped),
                "step": beside(leaf, fresh["step"], mapped=mapped and self.name != "adafactor"),
            }
            decayed = self._set(optimizer, numbers, leaf_gradient, leaf)
            updated[path] = optimizer.apply_single(decayed, leaf, fresh[path])
        return self.layout.join(updated), fresh

    def _set(
        self, optimizer: Any, numbers: Mapping[str, mx.array], gradient: mx.array, parameter: mx.array
    ) -> mx.array:
        """Give the optimizer its numbers; return the gradient, decayed where MLX has no decay for it."""
        if hasattr(optimizer, "betas"):
            corrected = numbers["bias_correction"]
            optimizer.betas = (Beta(numbers["beta_1"], corrected), Beta(numbers["beta_2"], corrected))
        if isinstance(getattr(optimizer, "eps", None), float):  # Adafactor has two, and keeps its own
            optimizer.eps = Traced(numbers["optimizer_eps"])
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
            case "adam" | "adamw":  # as in the papers; see Beta where it is off
                return self._class(learning_rate=0.0, bias_correction=True)
            case _:
                return self._class(learning_rate=0.0)
