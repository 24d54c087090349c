"""Whether a task's functions are what a compiled step needs: pure, keyed, traceable; by trying them once.

Pure means: `loss`, `evaluate` and `augment` write into no array they are given, and all their randomness
follows from the run's key. In their own code they draw only under a key they hold (`augment` has one);
a layer (an `nn.Module`) may draw without, as `nn.Dropout` does, since it runs under the run's key. NumPy
and Python draw constants into a compiled step, so nothing may draw from them, the model's construction
included. `data` may draw as it likes: it runs once, under a fixed seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from train_core import keys, numpy_boundary
from train_core.data.device_dataset import DeviceDataset
from train_core.errors import TaskError
from train_core.inspect import vmap_incompatibility
from train_core.inspect.probe import Probe
from train_core.inspect.watching import Line, changes
from train_core.step.functional import flatten
from train_core.task import Batch, Task, is_foreign, split_for, task_errors

TRIED_KEYS = 4


@dataclass(frozen=True)
class Purity:
    """What was found; `problems` says of everything that must not be what it is and where.

    `random`: other keys give other results. `vmap_incompatibility`: what keeps two lanes out of one step.
    `unreached`: trainable parameters that no gradient reaches, wherever it was tried.
    """

    task: str
    inputs_unchanged: bool
    generators_undrawn: bool
    repeatable: bool
    random: bool
    compiles: bool
    vmap_incompatibility: str | None
    unreached: tuple[str, ...]
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def purity(
    task: Task,
    hyperparameters: Mapping[str, object],
    data: DeviceDataset | None = None,
    *,
    greatest: Mapping[str, object] | None = None,
) -> Purity:
    """Try a task with one set of hyperparameters, on one batch; dropout is on.

    What no gradient reaches with them is tried with the dynamic ones of `greatest` too: where how many
    layers are trained is one of them, the rest waits for a greater number. Raises TaskError where it cannot
    be tried at all: no data, no model.
    """
    probe = Probe(task, hyperparameters, data)
    if float(probe.hp["dropout"]) == 0:
        probe.hp["dropout"] = mx.array(0.5)
    found = Purity(type(task).__name__, True, True, True, False, True, None, (), ())
    gradients = partial(_gradients, greatest=greatest)
    for stage in (_eager, _generators, _traced, gradients):
        try:
            found = stage(probe, found)
        except TaskError as error:
            return _with(found, [str(error)], compiles=False)
    return found


def _eager(probe: Probe, found: Purity) -> Purity:
    """Run every function on plain arrays: what it writes into, and whether it repeats itself."""
    results: list[list[bytes]] = []
    for key in [0, *range(TRIED_KEYS)]:
        inputs = _Inputs(probe)
        before = inputs.content()
        results.append(inputs.run(keys.fold_in(keys.key(0), key)))
        written = [name for name, content in inputs.content().items() if content != before[name]]
        if written:
            return _with(found, _written(probe, written), inputs_unchanged=False)
    problems = []
    if results[0] != results[1]:
        problems.append(
            f"{found.task}: the same key must give the same result, but two calls of loss, evaluate and "
            "augment differ; look for a generator without a seed, the time, or state kept between calls"
        )
    return _with(found, problems, repeatable=not problems, random=any(r != results[1] for r in results[2:]))


def _generators(probe: Probe, found: Purity) -> Purity:
    """Find draws: by hand from MLX's generator, and any from NumPy's and Python's."""
    inputs, states = _Inputs(probe), {"NumPy": _numpy_state, "Python": _python_state}
    before = {name: read() for name, read in states.items()}
    probe.program.build(keys.key(0))
    inputs.run(keys.key(0))
    # Reading these states takes longer than most lines: only of those that moved is every line looked at.
    watched = {name: read for name, read in states.items() if read() != before[name]}
    with changes(watched) as built:
        probe.program.build(keys.key(0))
    with changes({**watched, "MLX": _mlx_state}) as drawn:
        inputs.run(keys.key(0))
    problems = [
        _drawn(found.task, name, line)
        for name, lines in [*built.items(), *drawn.items()]
        for line in lines
        if not is_foreign(line.file) and (name != "MLX" or not isinstance(line.owner, nn.Module))
    ]
    return _with(found, problems, generators_undrawn=not problems)


def _traced(probe: Probe, found: Purity) -> Purity:
    probe.trace()
    return replace(found, vmap_incompatibility=vmap_incompatibility.find(probe))


def _gradients(probe: Probe, found: Purity, *, greatest: Mapping[str, object] | None) -> Purity:
    """Find parameters whose gradient is zero; away from the initial ones, where LoRA's half are zero."""
    unreached = _unreached(probe, probe.hp)
    if unreached and greatest is not None:
        _, dynamic = split_for(probe.task, greatest)
        others = {name: mx.array(value) for name, value in dynamic.items() if name in probe.hp}
        unreached &= _unreached(probe, {**probe.hp, **others, "dropout": probe.hp["dropout"]})
    return replace(found, unreached=tuple(path for path in probe.step.layout.paths if path in unreached))


def _unreached(probe: Probe, hp: dict[str, mx.array]) -> set[str]:
    state = probe.state()
    moved = state["parameters"] + 0.05 * mx.random.normal(state["parameters"].shape, key=keys.key(1))
    after = probe.step.micro_batch({**state, "parameters": moved}, hp, probe.batch(), None)
    gradients = probe.step.layout.split(after["window"])
    return {path for path, gradient in gradients.items() if not bool(mx.any(gradient != 0))}


class _Inputs:
    """One set of all arrays that the task's functions are given, and a way to call them on plain arrays."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._state = probe.state()
        self._leaves = {path: mx.array(a) for path, a in probe.step.leaves(self._state["parameters"]).items()}
        self._train, self._validation = probe.batch(), probe.batch("validation")
        size = len(next(iter(self._train.values())))
        self._examples = [{n: mx.array(a[i]) for n, a in self._train.items()} for i in range(min(2, size))]
        mx.eval(self._state, self._leaves, self._examples, probe.hp)

    def arrays(self) -> dict[str, mx.array]:
        """Every array by the name that a message gives it."""
        named = {f"model {path}": leaf for path, leaf in self._leaves.items()}
        named |= {f"model {path}": leaf for path, leaf in flatten(self._state["model"]).items()}
        named |= {f"hp.{name}": leaf for name, leaf in self._probe.hp.items()}
        for part, batch in (("batch", self._train), ("validation batch", self._validation)):
            named |= {f'{part}["{name}"]': leaf for name, leaf in batch.items()}
        for i, example in enumerate(self._examples):
            named |= {f'examples[{i}]["{name}"]': leaf for name, leaf in example.items()}
        return named

    def content(self) -> dict[str, bytes]:
        """What every array holds now."""
        return {name: numpy_boundary.raw_bytes(leaf) for name, leaf in self.arrays().items()}

    def run(self, key: mx.array) -> list[bytes]:
        """Call augment, loss and evaluate; return the bytes of all that comes back."""
        probe, state = self._probe, self._state
        results: list[Any] = [self._augmented(key)]
        leaves, model, mask = self._leaves, state["model"], mx.array(1.0)
        total, _, after = probe.step.loss(leaves, model, probe.hp, dict(self._train), None, key)
        results += [total, after]
        validation = dict(self._validation)
        results.append(probe.step.evaluate(leaves, model, key, probe.hp, validation, mask))
        return [numpy_boundary.raw_bytes(leaf) for leaf in flatten({"results": results}).values()]

    def _augmented(self, key: mx.array) -> list[Batch]:
        augment = getattr(self._probe.task, "augment", None)
        if augment is None:
            return []
        with keys.generator(key), task_errors(self._probe.task, "augment"):
            return [augment(dict(e), keys.fold_in(key, i)) for i, e in enumerate(self._examples)]


def _written(probe: Probe, names: list[str]) -> list[str]:
    """Run again, watching what was written into, and say which line did it."""
    inputs = _Inputs(probe)
    arrays = inputs.arrays()
    watched = {name: _content_of(arrays[name]) for name in names}
    with changes(watched) as lines:
        inputs.run(keys.key(0))
    by_line: dict[Line | None, list[str]] = {}
    for name, found in lines.items():
        nowhere: list[Line | None] = [None]
        for line in found or nowhere:
            by_line.setdefault(line, []).append(name)
    return [
        f"{_place(type(probe.task).__name__, line)} writes into the buffer of {' and '.join(written)}, and a "
        "step's inputs must stay as they are; write into a copy (np.array(x, copy=True)), or compute with mx"
        for line, written in by_line.items()
    ]


def _content_of(array: mx.array) -> Callable[[], bytes]:
    return lambda: numpy_boundary.raw_bytes(array)


def _drawn(task: str, generator: str, line: Line) -> str:
    if generator == "MLX":
        why = "draws from the global generator by hand"
    else:
        why = f"draws from {generator}'s global generator: compiled, that is one constant for all steps"
    instead = "draw with mx.random under the key of `augment`, or in a layer (an nn.Module)"
    return f"{_place(task, line)} {why}; {instead}"


def _place(task: str, line: Line | None) -> str:
    return f"{task}: it" if line is None else f"{line.file}:{line.number}: in {task}: `{line.text}`"


def _mlx_state() -> bytes:
    state: Any = mx.random.state
    return np.array(state[0], copy=True).tobytes()


def _numpy_state() -> bytes:
    _, words, *rest = np.random.get_state(legacy=True)
    return np.asarray(words).tobytes() + str(rest).encode()


def _python_state() -> bytes:
    return str(random.getstate()).encode()


def _with(found: Purity, problems: list[str], **changes: Any) -> Purity:
    return replace(found, problems=(*found.problems, *dict.fromkeys(problems)), **changes)
