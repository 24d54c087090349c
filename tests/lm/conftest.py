"""The example's tiny model and data, made once; not trained, as no test asks what it knows."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "lora"


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of examples/lora with its model and data; not to be changed."""
    folder = tmp_path_factory.mktemp("lora")
    for name in ("study.yaml", "lora_config.yaml", "tiny_base.py"):
        shutil.copy(EXAMPLE / name, folder)
    spec = importlib.util.spec_from_file_location("tiny_base", folder / "tiny_base.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.UPDATES = 1
    module.main()
    return folder


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
