"""The core's training step against a loop that an MLX expert writes by hand, one run on one device.

Same model, data, batch size and features on both sides: dropout, AdamW, clipping by the global norm,
warm-up and cosine schedule, gradient accumulation, the loss summed for a report. The core is measured as
a user runs it, through `Population` at width 1; the loop is MLX's documented idiom, a compiled function
over captured state, dispatched without waiting. Both wait once, at the end of a stretch of micro-batches.
Kernels a micro-batch are counted where PyTorch with CUDA is there to count them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import numpy.typing as npt
from mlx.utils import tree_map

import train_core
from benchmarks import measure
from benchmarks.realistic_loops import kernels
from train_core import Dataset, Length, Mean, Population, Program, Task, device, keys, split

BOUND = 1.05
ROUNDS = 100
ACCUMULATION = (1, 8)
EXAMPLES = 4096
UPDATES = 100_000
WARM_UP = 0.1
RATE, CLIP, DECAY, DROPOUT = 1e-3, 1.0, 0.01, 0.1

Drop = Callable[[mx.array], mx.array]
Arrays = dict[str, npt.NDArray[Any]]


class MLP(nn.Module):
    """Two hidden layers over 64 numbers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers = [nn.Linear(64, 128), nn.Linear(128, 128)]
        self.out = nn.Linear(128, 10)

    def __call__(self, x: mx.array, drop: Drop) -> mx.array:
        for layer in self.layers:
            x = drop(nn.relu(layer(x)))
        return self.out(x)


class Block(nn.Module):
    """Attention and a feed-forward layer, normalised before each."""

    def __init__(self, width: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.attention = nn.MultiHeadAttention(width, 4)
        self.norms = [nn.LayerNorm(width), nn.LayerNorm(width)]
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def __call__(self, x: mx.array, mask: mx.array, drop: Drop) -> mx.array:
        y = self.norms[0](x)
        x = x + drop(self.attention(y, y, y, mask))
        return x + drop(self.down(nn.gelu(self.up(self.norms[1](x)))))


class Transformer(nn.Module):
    """Two blocks over 16 of 64 tokens, next tokens out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tokens, self.places = nn.Embedding(64, 64), nn.Embedding(16, 64)
        self.blocks = [Block(64), Block(64)]
        self.out = nn.Linear(64, 64)

    def __call__(self, x: mx.array, drop: Drop) -> mx.array:
        mask = nn.MultiHeadAttention.create_additive_causal_mask(x.shape[1])
        x = self.tokens(x) + self.places(mx.arange(x.shape[1]))
        for block in self.blocks:
            x = block(x, mask, drop)
        return self.out(x)


class CNN(nn.Module):
    """Two convolutions over images of 8 x 8 pixels."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.convolutions = [nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)]
        self.pool = nn.MaxPool2d(2)
        self.out = nn.Linear(64, 10)

    def __call__(self, x: mx.array, drop: Drop) -> mx.array:
        for convolution in self.convolutions:
            x = self.pool(nn.relu(convolution(x)))
        return self.out(drop(x.reshape(len(x), -1)))


def _vectors(random: np.random.Generator) -> Arrays:
    x = random.normal(size=(EXAMPLES, 64)).astype(np.float32)
    return {"x": x, "y": x[:, :10].argmax(axis=1).astype(np.int32)}


def _sentences(random: np.random.Generator) -> Arrays:
    tokens = random.integers(0, 64, size=(EXAMPLES, 17)).astype(np.int32)
    return {"x": tokens[:, :-1], "y": tokens[:, 1:]}


def _images(random: np.random.Generator) -> Arrays:
    arrays = _vectors(random)
    return arrays | {"x": arrays["x"].reshape(-1, 8, 8, 1)}


@dataclass(frozen=True)
class Case:
    """A model, its data, and a stretch: how many micro-batches are timed together."""

    name: str
    model: Callable[[], nn.Module]
    arrays: Callable[[np.random.Generator], Arrays]
    micro_batch_size: int
    stretch: int


CASES = (
    Case("MLP", MLP, _vectors, 64, 32),
    Case("transformer", Transformer, _sentences, 8, 8),
    Case("CNN", CNN, _images, 32, 16),
)


def loop(case: Case, k: int) -> Callable[[], None]:
    """Return the hand-written loop over one stretch of micro-batches."""
    arrays = {name: mx.array(array) for name, array in case.arrays(np.random.default_rng(0)).items()}
    model, drop = case.model(), nn.Dropout(DROPOUT)
    warm_up = int(WARM_UP * UPDATES)
    rate = optim.join_schedules(
        [optim.linear_schedule(0.0, RATE, warm_up), optim.cosine_decay(RATE, UPDATES - warm_up)], [warm_up]
    )
    optimizer = optim.AdamW(rate, weight_decay=DECAY, bias_correction=True)
    optimizer.init(model.trainable_parameters())
    state = [model.state, optimizer.state, mx.random.state]

    def loss(x: mx.array, y: mx.array) -> mx.array:
        found: mx.array = nn.losses.cross_entropy(model(x, drop), y, reduction="mean")
        return found

    differentiate: Callable[..., tuple[mx.array, Any]] = nn.value_and_grad(model, loss)

    def update(gradients: Any) -> None:
        clipped, _ = optim.clip_grad_norm(gradients, CLIP)
        optimizer.update(model, clipped)

    @partial(mx.compile, inputs=state, outputs=state)
    def step(index: mx.array, total: mx.array) -> mx.array:
        value, gradients = differentiate(arrays["x"][index], arrays["y"][index])
        update(gradients)
        return total + value

    @partial(mx.compile, inputs=state, outputs=state)
    def accumulate(index: mx.array, total: mx.array, window: Any) -> tuple[mx.array, Any]:
        value, gradients = differentiate(arrays["x"][index], arrays["y"][index])
        return total + value, tree_map(mx.add, window, gradients)

    @partial(mx.compile, inputs=state, outputs=state)
    def accumulate_and_update(index: mx.array, total: mx.array, window: Any) -> tuple[mx.array, Any]:
        total, window = accumulate(index, total, window)
        update(tree_map(lambda leaf: leaf / k, window))
        return total, tree_map(mx.zeros_like, window)

    total, position = mx.array(0.0), 0
    window = tree_map(mx.zeros_like, model.trainable_parameters())
    order = mx.random.permutation(EXAMPLES)
    mx.eval(state, window, order)

    def stretch() -> None:
        nonlocal total, window, position, order
        for _ in range(case.stretch):
            start = position * case.micro_batch_size % EXAMPLES
            if start == 0:
                order = mx.random.permutation(EXAMPLES)
            index = order[start : start + case.micro_batch_size]
            position += 1
            if k == 1:
                total = step(index, total)
            elif position % k:
                total, window = accumulate(index, total, window)
            else:
                total, window = accumulate_and_update(index, total, window)
            mx.async_eval(state, total, window)
        mx.eval(state, total, window)

    return stretch


class Benchmarked(Task):
    """A case as a task: what a user of the core writes."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.drop = train_core.Dropout()

    def data(self) -> Dataset:
        arrays = self.case.arrays(np.random.default_rng(0))
        return Dataset(train=arrays, validation={name: array[:1] for name, array in arrays.items()})

    def model(self) -> nn.Module:
        return self.case.model()

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        logits = model(batch["x"], lambda x: self.drop(x, hp.dropout))
        each = train_core.cross_entropy(logits, batch["y"])
        return Mean(each if each.ndim == 1 else each.mean(axis=-1))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}


def core(case: Case, k: int) -> Callable[[], None]:
    """Return the core's training over one stretch of micro-batches, far from any report."""
    hyperparameters = {
        "micro_batch_size": case.micro_batch_size,
        "accumulation_steps": k,
        "learning_rate": RATE,
        "weight_decay": DECAY,
        "gradient_clip": CLIP,
        "dropout": DROPOUT,
        "schedule": "cosine",
        "warmup_fraction": WARM_UP,
    }
    task = Benchmarked(case)
    population = Population(Program(task, split(hyperparameters, task.static)[0]), 1)
    examples = UPDATES * k * case.micro_batch_size
    population.load(
        0, key=keys.key(0), hyperparameters=hyperparameters, length=Length(examples, report_every=examples)
    )

    def stretch() -> None:
        population.advance(case.stretch)

    return stretch


def main() -> int:
    """Measure every case; return the exit code."""
    options = measure.arguments(__doc__.splitlines()[0] if __doc__ else "", least_rounds=2, rounds=ROUNDS)
    benchmark = measure.Benchmark(
        f"Training step, medians of {options.rounds} interleaved rounds",
        machine={"device": device.kind(), "chip": device.chip()},
    )
    for case in CASES:
        for k in ACCUMULATION:
            measure.say(f"{case.name}, accumulation {k} ...")
            by_hand = loop(case, k)
            runs = {"loop": by_hand, "core": core(case, k), "again": by_hand}
            timings = measure.interleaved(runs, rounds=options.rounds)
            launched = {who: kernels(runs[who], case.stretch).get("kernels", "") for who in ("loop", "core")}
            ratio, itself = timings.ratio("core", "loop"), timings.ratio("again", "loop")
            benchmark.enter(
                {
                    "model": case.name,
                    "accumulation": k,
                    "loop_ms": 1e3 * timings.median_s("loop") / case.stretch,
                    "core_ms": 1e3 * timings.median_s("core") / case.stretch,
                    "core_to_loop": ratio,
                    "loop_to_itself": itself,
                    "loop_kernels": launched["loop"],
                    "core_kernels": launched["core"],
                }
            )
            name = f"{case.name}, accumulation {k}: core to loop"
            benchmark.checks.append(measure.check(name, ratio.median, bound=BOUND, itself=itself))
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
