"""The tiny language model and data of examples/lora, not trained: no test asks what it knows."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[1] / "examples" / "lora"


def write(folder: Path) -> Path:
    """A copy of the example in a folder, with its model and data."""
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
