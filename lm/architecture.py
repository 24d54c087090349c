"""A model's shape, from a config.json of any architecture that mlx-lm has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.utils import _get_classes

from lm.base import NEEDS_A_PACKAGE
from train_core.errors import TaskError

PLACES = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
"""What architectures call the longest text that they are made for."""

VOCABULARY = "vocab_size"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Architecture:
    """A configuration that mlx-lm has a model for; `name` is what messages call it."""

    name: str
    values: Mapping[str, Any]

    def model(self) -> nn.Module:
        """A model with weights drawn from MLX's generator. Raises TaskError."""
        try:
            model_class, arguments = _get_classes(dict(self.values))
            model: nn.Module = model_class(arguments.from_dict(dict(self.values)))
        except Exception as error:  # each architecture checks its numbers in a way of its own
            problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise TaskError(f"{self.name}: mlx-lm cannot build this model: {problem}") from error
        return model

    def write(self, weights: Mapping[str, Any], out: Path) -> None:
        """Write a model with these weights into a folder, as mlx-lm loads it."""
        model = self.model()
        model.update(dict(weights))
        arrays: Any = dict(tree_flatten(model.parameters()))
        mx.save_safetensors(str(out / WEIGHTS), arrays, metadata={"format": "mlx"})
        (out / "config.json").write_text(json.dumps(dict(self.values), indent=4) + "\n")

    @property
    def vocabulary(self) -> int | None:
        """How many tokens it knows, where the configuration says that."""
        return self._number(VOCABULARY)

    @property
    def longest(self) -> int | None:
        """The longest text that it is made for, where the configuration says that."""
        return next((found for name in PLACES if (found := self._number(name)) is not None), None)

    def _number(self, name: str) -> int | None:
        for values in (self.values, self.values.get("text_config")):
            if isinstance(values, Mapping) and isinstance(values.get(name), int):
                return int(values[name])
        return None


def read(name: str, folder: Path, recorded: Mapping[str, str]) -> Architecture:
    """The configuration of that name as it was recorded, else as it stands there now. Raises TaskError."""
    path = folder / name
    try:
        return _parsed(str(path), recorded[name] if name in recorded else path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TaskError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TaskError(f"{path}: is not text in UTF-8") from error


@cache
def _parsed(name: str, text: str) -> Architecture:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise TaskError(f"{name}:{error.lineno}: not JSON: {error.msg}") from error
    if not isinstance(values, dict) or not isinstance(values.get("model_type"), str):
        raise TaskError(f"{name}: not the configuration of a model: it has no model_type, such as llama")
    if any(key in values for key in ("quantization", "quantization_config")):
        raise TaskError(f"{name}: quantization: random weights are trained in full. Leave it out")
    try:
        _get_classes(values)
    except ValueError as error:
        raise TaskError(
            f"{name}: model_type {values['model_type']}: mlx-lm has no such architecture"
        ) from error
    except SystemExit as error:
        raise TaskError(f"{name}: {NEEDS_A_PACKAGE}") from error
    return Architecture(name, values)
