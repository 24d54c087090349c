"""What trains here, and the scope for what only the CPU can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx


def kind() -> str:
    """Return "gpu" (Metal or CUDA) or "cpu"."""
    return "gpu" if mx.default_device() == mx.Device(mx.gpu) else "cpu"


def chip() -> str:
    """Return the name of the default device's chip."""
    info = mx.device_info()
    return str(info.get("device_name") or info.get("architecture") or "unknown")


@contextmanager
def float64_scope() -> Iterator[None]:
    """Run a block on the CPU stream, the only place where MLX computes in float64."""
    with mx.stream(mx.cpu):
        yield
