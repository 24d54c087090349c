"""What trains here, and the scope for what only the CPU can do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import mlx.core as mx


def kind() -> str:
    """Return "gpu" (Metal or CUDA) or "cpu"."""
    return "gpu" if mx.default_device() == mx.Device(mx.gpu) else "cpu"


def cuda() -> bool:
    """Return whether CUDA trains, where Metal does not need what it needs."""
    # mx.metal and mx.cuda answer for the build; the default device says what trains.
    return kind() == "gpu" and mx.cuda.is_available()


def chip() -> str:
    """Return the name of the default device's chip."""
    info = mx.device_info()
    return str(info.get("device_name") or info.get("architecture") or "unknown")


def memory_bytes() -> int:
    """Return the memory that arrays can use: the device's own, or the machine's."""
    return _memory_bytes(kind())


@cache  # CUDA asks its driver how much is free each time: far longer than a small model's step
def _memory_bytes(_: str) -> int:
    info = mx.device_info()
    for name in ("max_recommended_working_set_size", "total_memory", "memory_size"):
        if name in info:
            return int(info[name])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@contextmanager
def float64_scope() -> Iterator[None]:
    """Run a block on the CPU stream, the only place where MLX computes in float64."""
    with mx.stream(mx.cpu):
        yield
