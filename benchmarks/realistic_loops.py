"""One run by hand in MLX, for `benchmarks/realistic.py` to compare with; kernels, by PyTorch's profiler."""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_map

DECAY, CLIP, RATE = 0.1, 1.0, 3e-4

Step = Callable[[], Any]
"""Dispatches a step and returns what waits for it."""


def pytorch() -> Any:
    """Return PyTorch where it is there with CUDA; it is no dependency."""
    try:
        torch = importlib.import_module("torch")
        importlib.import_module("torch.profiler")
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def seconds(step: Step, steps: int, rounds: int) -> float:
    """Return the median time of a step that waits for nothing, over stretches that end with a wait."""
    found = []
    for number in range(rounds + 1):
        started = time.perf_counter()
        for _ in range(steps):
            waits = step()
        waits()
        if number:
            found.append((time.perf_counter() - started) / steps)
    return statistics.median(found)


def by_hand(task: Any, hyperparameters: Mapping[str, Any]) -> Step:
    """Return a step of MLX's documented idiom: float32 masters, computing in the precision asked for."""
    dtype = getattr(mx, str(hyperparameters["precision"]))
    arrays = {name: mx.array(array) for name, array in task.data().train.items()}
    size = len(next(iter(arrays.values())))
    model = task.model()
    masters = model.trainable_parameters()
    optimizer = optim.AdamW(RATE, weight_decay=DECAY, bias_correction=True)
    optimizer.init(masters)
    fixed = tree_map(lambda a: a.astype(dtype) if a.dtype == mx.float32 else a, model.parameters())
    model.update(fixed)

    def loss(parameters: Any, batch: dict[str, mx.array]) -> mx.array:
        model.update(tree_map(lambda a: a.astype(dtype), parameters))
        cast = {n: a.astype(dtype) if mx.issubdtype(a.dtype, mx.floating) else a for n, a in batch.items()}
        logits = model(cast["x"]).astype(mx.float32)
        each: mx.array = mx.fast.cross_entropy(logits, cast["y"])
        return each.mean()

    differentiate = mx.value_and_grad(loss)
    state = [masters, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(index: mx.array) -> mx.array:
        value, gradients = differentiate(state[0], {name: a[index] for name, a in arrays.items()})
        gradients, _ = optim.clip_grad_norm(gradients, CLIP)
        optimizer.state = state[1]
        state[0] = optimizer.apply_gradients(gradients, state[0])
        state[1] = optimizer.state
        return value

    order = np.random.default_rng(0)

    def run() -> Callable[[], None]:
        index = mx.array(order.integers(0, size, task.batch).astype(np.uint32))
        value = step(index)
        mx.async_eval(state, value)
        return lambda: mx.eval(state, value)

    return run


def kernels(run: Callable[[], None], steps: int, top: int = 0) -> dict[str, object]:
    """Return how many kernels a step launches and how long they take, by PyTorch's profiler of CUDA."""
    torch = pytorch()
    if torch is None:
        return {"note": "PyTorch with CUDA is not there to count kernels"}
    run()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        run()
        torch.cuda.synchronize()
    times: dict[str, list[float]] = {}
    for event in seen.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            times.setdefault(event.name, []).append(event.time_range.elapsed_us())
    found: dict[str, object] = {
        "kernels": sum(map(len, times.values())) / steps,
        "kernel_ms": sum(map(sum, times.values())) / steps / 1e3,
    }
    longest = sorted(times, key=lambda name: -sum(times[name]))[:top]
    if longest:
        found["longest"] = [
            f"{sum(times[n]) / steps:.0f} us, {len(times[n]) / steps:.1f} calls: {n[:120]}" for n in longest
        ]
    return found
