"""A small task and populations over it; what is not about compilation runs without it.

Needs mlx, numpy and pytest alone. What is bit for bit on MLX's x86-64 CPU build only is compared to a
tolerance elsewhere.
"""

from __future__ import annotations

import os

os.environ.setdefault("MLX_ENABLE_TF32", "0")  # before mlx loads: lanes and single runs round alike

# CUDA's cache of convolutions ends a process that meets over twice as many shapes as it holds.
os.environ.setdefault("MLX_CUDA_CONV_CACHE_SIZE", "4096")

import platform
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import train_core
from train_core import (
    Checkpoint,
    Dataset,
    LaneReport,
    Length,
    Mean,
    Population,
    Program,
    Task,
    device,
    keys,
    split_for,
)

EXACT = device.kind() == "cpu" and platform.machine() in ("x86_64", "AMD64")
"""Whether a lane equals its run alone bit for bit here."""

TOLERANCE = 0.0 if EXACT else 2e-3

LENGTH = Length(examples=130, report_every=50)


class Net(nn.Module):
    """One hidden layer, dropout by rate."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(6, hidden)
        self.out = nn.Linear(hidden, 3)
        self.dropout = train_core.Dropout()

    def __call__(self, x: mx.array, rate: mx.array) -> mx.array:
        return self.out(self.dropout(nn.relu(self.first(x)), rate))


class Small(Task):
    """Three classes from six numbers, 50 + 17 examples: nothing divides evenly."""

    static = ("hidden",)

    def data(self) -> Dataset:
        random = np.random.default_rng(0)
        x = random.normal(size=(67, 6)).astype(np.float32)
        y = (x[:, :3].argmax(axis=1)).astype(np.int32)
        w = random.uniform(0.5, 2.0, 67).astype(np.float32)
        arrays = {"x": x, "y": y, "w": w}
        return Dataset(
            train={name: a[:50] for name, a in arrays.items()},
            validation={name: a[50:] for name, a in arrays.items()},
        )

    def model(self, hidden: int) -> nn.Module:
        return Net(hidden)

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        logits = model(batch["x"], hp.dropout)
        return Mean(train_core.cross_entropy(logits, batch["y"], hp.label_smoothing), batch["w"])

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        logits = model(batch["x"], hp.dropout)
        return {
            "accuracy": Mean(mx.argmax(logits, axis=-1) == batch["y"]),
            "loss": Mean(train_core.cross_entropy(logits, batch["y"]), batch["w"]),
        }


BASE: dict[str, object] = {
    "hidden": 8,
    "micro_batch_size": 8,
    "learning_rate": 1e-2,
    "dropout": 0.2,
    "label_smoothing": 0.1,
    "gradient_clip": 1.0,
}


def finish(population: Population, lane: int) -> list[LaneReport]:
    """Advance until the lane's run ends; return its reports."""
    reports: list[LaneReport] = []
    while not (reports and reports[-1].finished):
        reports += [report for report in population.advance().reports if report.lane == lane]
    return reports


def assert_equal(one: Checkpoint, other: Checkpoint) -> None:
    assert (one.micro_batches, one.examples, one.key) == (other.micro_batches, other.examples, other.key)
    assert one.arrays.keys() == other.arrays.keys()
    for path, leaf in one.arrays.items():
        assert_close(leaf, other.arrays[path], path)


def assert_close(found: mx.array, wanted: mx.array, name: str = "") -> None:
    """Compare two arrays: equal bit for bit where this build is exact, else to a tolerance."""
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), name
    one, other = (np.array(leaf.astype(mx.float32)) for leaf in (found, wanted))
    np.testing.assert_allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


def assert_same(found: Sequence[LaneReport], wanted: Sequence[LaneReport]) -> None:
    """Compare two runs' reports, whatever lane they come from."""
    places = [[(r.examples, r.updates, r.finished, list(r.metrics)) for r in rs] for rs in (found, wanted)]
    assert places[0] == places[1]
    names = [name for name in wanted[0].metrics if EXACT or "loss" in name]  # an accuracy jumps
    one, other = ([[report.metrics[n] for n in names] for report in rs] for rs in (found, wanted))
    np.testing.assert_allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE)


def against_alone(task: Task, *settings: dict[str, object], length: Length = LENGTH) -> list[Checkpoint]:
    """Train settings side by side and each alone: reports and ends must agree. Returns the ends."""
    program = program_of(task, **settings[0])
    together = Population(program, len(settings))
    for lane, hyperparameters in enumerate(settings):
        together.load(lane, key=keys.key(lane), hyperparameters=hyperparameters, length=length)
    reports: list[LaneReport] = []
    while len({report.lane for report in reports if report.finished}) < len(settings):
        reports += [r for r in together.advance().reports if r not in reports]
    for lane, hyperparameters in enumerate(settings):
        alone = Population(program, 1)
        alone.load(0, key=keys.key(lane), hyperparameters=hyperparameters, length=length)
        assert_same([report for report in reports if report.lane == lane], finish(alone, 0))
        assert_equal(together.snapshot(lane), alone.snapshot(0))
    return [together.snapshot(lane) for lane in range(len(settings))]


def program_of(task: Task, **hyperparameters: object) -> Program:
    """Return the program of one setting."""
    return Program(task, split_for(task, hyperparameters)[0])


def kernels(found: mx.array, folder: Path) -> list[str]:
    """Return what computing an unevaluated array launches, by MLX's names; views are none."""
    path = folder / "graph.dot"
    mx.export_to_dot(str(path), found)
    names: list[str] = re.findall(r'label ="([^"]+)", shape=rectangle', path.read_text())
    return [name for name in names if name not in ("Reshape", "CustomTransforms")]


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """Run compiled functions as plain ones."""
    mx.disable_compile()
    yield
    mx.enable_compile()
