"""What a driver has to know about a task without importing it: plain values, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx

from train_core import device, keys, obstacles
from train_core.data import Resident, gather
from train_core.hyperparameters import CORE, STATIC, SWITCHES, split
from train_core.program import Program
from train_core.step import HIDDEN
from train_core.task import Task


def describe(
    task: Task, hyperparameters: Mapping[str, object], data: Resident | None = None
) -> dict[str, Any]:
    """Build the task once, run its functions on one batch, uncompiled, and say what it is.

    The hyperparameters are those of any one trial: the model needs the static ones. Raises TaskError.
    """
    static, dynamic = split(hyperparameters, task.static)
    program = Program(task, static, data)
    hp = {name: mx.array(value) for name, value in {**dynamic, HIDDEN: 1.0}.items()}
    metrics = _metric_names(program, hp)
    obstacle = obstacles.find(program, hp)
    return {
        "static": sorted({*STATIC, *task.static}),
        "switches": list(SWITCHES),
        "core": list(CORE),
        "dynamic": sorted(program.step.read),
        "metrics": ["train_loss", *metrics],
        "train_size": program.data.train_size,
        "validation_size": program.data.validation_size,
        "vmap": obstacle is None,
        "vmap_obstacle": obstacle,
        "device": device.kind(),
        "chip": device.chip(),
    }


def _metric_names(program: Program, hp: dict[str, mx.array]) -> list[str]:
    state = program.init(keys.key(0))
    batch = gather(program.data.validation, mx.arange(program.evaluation_batch_size))
    pairs = program.step.evaluate(
        state["parameters"], state["model"], state["keys"]["dropout"], hp, batch, mx.array(1.0)
    )
    mx.eval(pairs)
    return [f"validation_{name}" for name in pairs]
