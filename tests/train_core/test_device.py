"""What is asked of the device, and how often."""

from __future__ import annotations

import mlx.core as mx
import pytest

from train_core import device


def test_its_memory_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA asks the driver how much is free: longer than a small model's step."""
    asked: list[int] = []

    def device_info() -> dict[str, int]:
        asked.append(1)
        return {"total_memory": 7}

    monkeypatch.setattr(mx, "device_info", device_info)
    device._memory_bytes.cache_clear()
    try:
        assert [device.memory_bytes() for _ in range(3)] == [7, 7, 7]
    finally:
        device._memory_bytes.cache_clear()
    assert len(asked) == 1
