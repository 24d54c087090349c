"""The example's task and one setting of it, cut short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lm import FineTune

SETTING: dict[str, Any] = {
    "config": "lora_config.yaml",
    "micro_batch_size": 2,
    "learning_rate": 3e-3,
    "rank": 4,
    "scale": 10.0,
    "dropout": 0.0,
    "num_layers": 4,
    "val_batches": 1,
    "max_seq_length": 25,
}


def task_of(folder: Path) -> FineTune:
    made = FineTune()
    made.folder = folder
    return made
