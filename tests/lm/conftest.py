"""The example's tiny model and data, made once; not trained, as no test asks what it knows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import pytest

from tests import tiny_lm


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of examples/lora with its model and data; not to be changed."""
    return tiny_lm.write(tmp_path_factory.mktemp("lora"))


@pytest.fixture
def own(example: Path, tmp_path: Path) -> Path:
    """A copy of the example's folder that may be changed."""
    return Path(shutil.copytree(example, tmp_path / "own"))


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """So few steps take less time than compiling them."""
    mx.disable_compile()
    yield
    mx.enable_compile()
