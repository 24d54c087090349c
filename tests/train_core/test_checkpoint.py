"""Checkpoint files: complete, atomic, and honest about damage."""

from __future__ import annotations

import hashlib
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from train_core import Checkpoint, CheckpointError, load, save


@pytest.fixture
def checkpoint() -> Checkpoint:
    arrays = {
        "parameters.a": mx.arange(6.0).reshape(2, 3).T,
        "model.b": mx.array([1.5, -2.0], mx.bfloat16),
        "keys.dropout": mx.random.key(7),
        "weight": mx.array(2.5),
    }
    return Checkpoint(arrays, 3, 24, (1, 2), {"optimizer": "adamw"})


def test_what_is_saved_comes_back_whole(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    digest = save(path, checkpoint)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
    back = load(path)
    assert (back.micro_batches, back.examples, back.key) == (3, 24, (1, 2))
    assert back.static == checkpoint.static
    for name, leaf in checkpoint.arrays.items():
        assert back.arrays[name].dtype == leaf.dtype
        np.testing.assert_array_equal(np.array(back.arrays[name].astype(mx.float32)), leaf.astype(mx.float32))


def test_damage_anywhere_is_found(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save(path, checkpoint)
    whole = path.read_bytes()
    for cut in (whole[: len(whole) // 2], whole[:-1], b"", whole[:-3] + b"\xff\xff\xff"):
        path.write_bytes(cut)
        with pytest.raises(CheckpointError, match="damaged"):
            load(path)


def test_foreign_and_missing_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: no such checkpoint"):
        load(path)
    mx.save_safetensors(str(path), {"w": mx.ones(3)})
    with pytest.raises(CheckpointError, match="weights alone cannot be resumed"):
        load(path)


def test_a_failed_write_leaves_the_old_file(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    save(path, checkpoint)
    whole = path.read_bytes()

    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        save(path, checkpoint)
    assert path.read_bytes() == whole
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
