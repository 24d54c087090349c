"""Complete, resumable checkpoints: one lane's state and position, in memory or as a safetensors file.

A file is written beside its target, synced and renamed, so its name never shows half of it. Its
metadata carry a hash of the content, checked on load.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from train_core import numpy_boundary
from train_core.errors import CheckpointError

FORMAT = "train_core 1"


@dataclass(frozen=True)
class Checkpoint:
    """One run at one micro-batch: all that its continuation depends on, hyperparameters and data excepted.

    `arrays` holds the lane's state by path, the same at any width. `examples` counts examples seen,
    `key` is the run's key, `static` the program's static hyperparameters as text, for messages.
    """

    arrays: Mapping[str, mx.array]
    micro_batches: int
    examples: int
    key: tuple[int, int]
    static: Mapping[str, str]

    @property
    def weights(self) -> dict[str, mx.array]:
        """The model's arrays by path, for `model.load_weights(list(weights.items()))`."""
        parts = ("parameters.", "model.")
        named = ((part, path) for path in self.arrays for part in parts if path.startswith(part))
        return {path.removeprefix(part): self.arrays[path] for part, path in named}


def save(path: str | os.PathLike[str], checkpoint: Checkpoint) -> str:
    """Write the checkpoint atomically; return the SHA-256 of the file, in hexadecimal.

    The path must end in `.safetensors`.
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target}: a checkpoint's name must end in .safetensors")
    position = _position(checkpoint)
    arrays = dict(checkpoint.arrays)
    metadata = {"format": FORMAT, "position": position, "sha256": _content_hash(arrays, position)}
    partial = target.with_name(f".{target.stem}.{os.getpid()}.safetensors")
    try:
        mx.save_safetensors(str(partial), arrays, metadata)
        file_hash = _sync_and_hash(partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(target.parent)
    return file_hash


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint; raises CheckpointError when it is missing, damaged or foreign."""
    target = Path(path)
    if not target.is_file():
        raise CheckpointError(f"{target}: no such checkpoint")
    try:
        loaded: Any = mx.load(str(target), format="safetensors", return_metadata=True)
        arrays, metadata = loaded
        mx.eval(arrays)
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"{target}: damaged, or not a safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{target}: not a checkpoint of this program: `format` is {metadata.get('format')!r}, "
            f"not {FORMAT!r}; weights alone cannot be resumed"
        )
    position = metadata.get("position", "")
    if _content_hash(arrays, position) != metadata.get("sha256"):
        raise CheckpointError(
            f"{target}: damaged: the content does not match its hash. Use an older checkpoint"
        )
    held: dict[str, Any] = json.loads(position)
    return Checkpoint(
        arrays=arrays,
        micro_batches=held["micro_batches"],
        examples=held["examples"],
        key=(held["key"][0], held["key"][1]),
        static=held["static"],
    )


def check_fit(
    checkpoint: Checkpoint,
    layout: Mapping[str, tuple[tuple[int, ...], mx.Dtype]],
    static: Mapping[str, str],
) -> None:
    """Raise CheckpointError, with the path in the tree, when the checkpoint does not fit a program."""
    for name, wanted in static.items():
        if checkpoint.static.get(name) != wanted:
            raise CheckpointError(
                f"checkpoint of another program: {name} = {checkpoint.static.get(name)}, wanted {wanted}"
            )
    for path, (shape, dtype) in layout.items():
        if path not in checkpoint.arrays:
            raise CheckpointError(
                f"checkpoint does not fit the model: {path} is missing, wanted shape {shape}"
            )
        found = checkpoint.arrays[path]
        if tuple(found.shape) != shape or found.dtype != dtype:
            raise CheckpointError(
                f"checkpoint does not fit the model: {path} has shape {tuple(found.shape)} "
                f"({found.dtype}), wanted {shape} ({dtype})"
            )
    for path in sorted(set(checkpoint.arrays) - set(layout)):
        raise CheckpointError(f"checkpoint does not fit the model: {path} is not in the model")


def _position(checkpoint: Checkpoint) -> str:
    return json.dumps(
        {
            "micro_batches": checkpoint.micro_batches,
            "examples": checkpoint.examples,
            "key": list(checkpoint.key),
            "static": dict(checkpoint.static),
        },
        sort_keys=True,
    )


def _content_hash(arrays: Mapping[str, mx.array], position: str) -> str:
    digest = hashlib.sha256(position.encode())
    for path in sorted(arrays):
        leaf = arrays[path]
        digest.update(f"{path} {leaf.dtype} {tuple(leaf.shape)}".encode())
        digest.update(numpy_boundary.raw_bytes(leaf))
    return digest.hexdigest()


def _sync_and_hash(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        os.fsync(file.fileno())
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
