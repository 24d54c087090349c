"""What a driver has to know about a task without importing it: plain values, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx

from train_core import device
from train_core.data.device_dataset import DeviceDataset
from train_core.errors import TaskError
from train_core.hyperparameters import CORE, STATIC, SWITCHES
from train_core.inspect import vmap_incompatibility
from train_core.inspect.probe import Probe
from train_core.task import Task, optional_method
from train_core.vmap.rules import noting


def describe(
    task: Task, hyperparameters: Mapping[str, object], data: DeviceDataset | None = None
) -> dict[str, Any]:
    """Build the task once, try its functions on one batch, uncompiled, and say what it is.

    The hyperparameters are those of any one trial: the model needs the static ones. Raises TaskError.
    """
    probe = Probe(task, hyperparameters, data)
    metrics = probe.evaluate(probe.state(), probe.hp, probe.batch("validation"))
    mx.eval(metrics)
    probe.trace()
    measured = probe.measure(probe.state())
    if twice := sorted({*metrics} & {*measured}):
        raise TaskError(f"{type(task).__name__}: evaluate and measure both report {twice[0]}; rename one")
    with noting() as rules:
        incompatibility = vmap_incompatibility.find(probe)
    scaled = ["skipped_updates"] if probe.program.static.precision == "float16" else []
    counted = ["train_tokens", "learning_rate"] if optional_method(task, "count_tokens") else []
    return {
        "static": sorted({*STATIC, *task.static}),
        "switches": [*SWITCHES, *task.switches],
        "filled": sorted({*task.filled(hyperparameters)} - {*hyperparameters}),
        "core": list(CORE),
        "dynamic": sorted(probe.step.read),
        "metrics": [
            "train_loss",
            *(f"validation_{name}" for name in (*metrics, *measured)),
            *scaled,
            *counted,
        ],
        "on_request": dict(task.on_request),
        "train_size": probe.program.data.train_size,
        "validation_size": probe.program.data.validation_size,
        "test_size": probe.program.data.test_size,
        "samples": bool(probe.samples(probe.state())),
        "vmap": incompatibility is None,
        "vmap_incompatibility": incompatibility,
        "lane_rules": sorted(rules),
        "widths": list(buckets.widths) if (buckets := probe.program.data.train_buckets) is not None else [],
        "device": device.kind(),
        "chip": device.chip(),
        "memory_bytes": device.memory_bytes(),
    }
