"""The model and the tokenizer of a folder or of the hub, read once a process and shared by all."""

from __future__ import annotations

import copy
import json
import struct
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import mlx.nn as nn
from mlx_lm.utils import _download, load_model, load_tokenizer

from train_core import device, keys
from train_core.errors import TaskError

NEEDS_A_PACKAGE = "mlx-lm needs a package for this architecture, which it names above. Install it"

PRECISIONS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""How a safetensors file calls a type -> how the training core does."""


@cache
def located(model: str, folder: Path) -> Path:
    """Where a model lies: beside the study, at a path, or fetched from the hub. Raises TaskError."""
    for path in (folder / model, Path(model)):
        if path.is_dir():
            return path
    try:
        return Path(_download(model))
    except Exception as error:  # each way of having no network raises errors of its own
        raise TaskError(
            f"model: {model}: there is no such folder, and the hub did not give it "
            f"({type(error).__name__}). Check the name and the network, or write the folder of a model"
        ) from error


@cache
def precision(path: Path) -> str:
    """The type that most of a model's numbers have: in this one they are kept without a copy."""
    sizes: Counter[str] = Counter()
    for file in _weight_files(path):
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
        for name, entry in header.items():
            if name != "__metadata__" and entry["dtype"] in PRECISIONS:
                start, end = entry["data_offsets"]
                sizes[PRECISIONS[entry["dtype"]]] += end - start
    return sizes.most_common(1)[0][0] if sizes else "float32"


def model(path: Path, *, trust_remote_code: bool = False) -> nn.Module:
    """A frozen model of its own over the arrays that this process has read once. Raises TaskError."""
    try:
        own: nn.Module = twin(_read(path, trust_remote_code))
    except SystemExit as error:  # so mlx-lm's olmo ends where its package is missing
        raise TaskError(f"model: {path}: {NEEDS_A_PACKAGE}") from error
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise TaskError(f"model: {path}: mlx-lm cannot load it: {' '.join(str(error).split())}") from error
    return own


@cache
def tokenizer(path: Path, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a model's folder. Raises TaskError."""
    try:
        return load_tokenizer(path, {"trust_remote_code": trust_remote_code})
    except SystemExit as error:  # it looks at the architecture, too
        raise TaskError(f"model: {path}: {NEEDS_A_PACKAGE}") from error
    except Exception as error:  # a model's config.json is checked by a library with errors of its own
        raise TaskError(
            f"model: {path}: its tokenizer cannot be loaded: {' '.join(str(error).split())}"
        ) from error


@cache
def _read(path: Path, trust_remote_code: bool) -> nn.Module:
    needed, there = sum(file.stat().st_size for file in _weight_files(path)), device.memory_bytes()
    if needed > there:
        raise TaskError(
            f"model: {path}: its weights take {needed / 1e9:.1f} GB, and this machine has "
            f"{there / 1e9:.1f} GB. Choose a smaller model, or one with fewer bits (mlx_lm.convert -q)"
        )
    with keys.generator(keys.key(0)):  # the first to read draws no more from its run's key than the others
        model, _ = load_model(path, trust_remote_code=trust_remote_code)
    model.freeze()
    return model


def _weight_files(path: Path) -> list[Path]:
    return sorted(path.glob("model*.safetensors"))


def called_afresh(model: nn.Module, inputs: Any) -> Any:
    """What a model makes of its inputs.

    What it keeps for its next call is lost: that may be another trace, which cannot use its arrays.
    """
    return twin(model)(inputs)


def twin(value: Any) -> Any:
    """A copy of a module's structure that holds the same arrays."""
    match value:
        case nn.Module():
            fresh = copy.copy(value)
            fresh._no_grad = set(value._no_grad)
            for name, item in value.items():
                fresh[name] = twin(item)
            return fresh
        case dict():
            return {name: twin(item) for name, item in value.items()}
        case list() | tuple():
            return type(value)(twin(item) for item in value)
        case _:
            return value
