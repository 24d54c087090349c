"""A worker ends what takes more memory than it may; what MLX merely caches stays below its limit."""

from __future__ import annotations

import time
from collections.abc import Iterator

import mlx.core as mx
import numpy as np

from selftest.results import Result, Status
from sweep.worker.footprint import footprint_bytes
from sweep.worker.memory_guard import MemoryGuard, OverLimitError

ROOM_BYTES, BLOCK_BYTES = 200_000_000, 10_000_000
CACHE_BYTES = 32_000_000


def guard(*, quick: bool) -> Iterator[Result]:
    """Memory is taken in blocks until the guard says that it is too much, or twice its limit is reached."""
    before = footprint_bytes()
    watching = MemoryGuard(before + ROOM_BYTES, footprint_bytes, reclaim=mx.clear_cache)
    blocks: list[np.ndarray] = []
    ended = False
    try:
        with watching.watching():
            while len(blocks) * BLOCK_BYTES < 2 * ROOM_BYTES:
                blocks.append(np.ones(BLOCK_BYTES, np.uint8))
                time.sleep(0.05)
    except OverLimitError:
        ended = True
    watching.close()
    over = (watching.found or footprint_bytes()) - before - ROOM_BYTES
    claim = "work that takes more memory than it may is ended"
    saw = f"ended {over / 1e6:.0f} MB above its limit" if ended else "was not ended"
    yield Result("memory", "guard", claim, Status.GREEN if ended else Status.RED, saw, over / 1e6, "MB")


def cache(*, quick: bool) -> Iterator[Result]:
    """Buffers that are let go of are kept for reuse, up to a limit, and given back on request."""
    old = mx.set_cache_limit(CACHE_BYTES)
    try:
        for number in range(16):
            mx.eval(mx.zeros((1_000_000 + 4096 * number,)) + 1)
        kept = mx.get_cache_memory()
        mx.clear_cache()
        left = mx.get_cache_memory()
    finally:
        mx.set_cache_limit(old)
    fine = kept <= CACHE_BYTES and left == 0
    claim = "MLX's cache of buffers stays below its limit and can be emptied"
    saw = f"{kept / 1e6:.0f} of {CACHE_BYTES / 1e6:.0f} MB kept, {left / 1e6:.0f} MB after it was emptied"
    yield Result("memory", "cache", claim, Status.GREEN if fine else Status.RED, saw, kept / 1e6, "MB")
