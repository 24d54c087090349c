"""What the tests of rules share."""

from __future__ import annotations

import pytest

from train_core import device


@pytest.fixture
def as_on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the rules that a GPU takes."""
    monkeypatch.setattr(device, "kind", lambda: "gpu")
