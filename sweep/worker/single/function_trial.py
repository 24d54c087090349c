"""What a function that trains is given: its hyperparameters, its key, its folder, and what it saved."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import numpy as np

from sweep.vocabulary.trial import UNBOUNDED, Scalar
from sweep.vocabulary.turn import Load
from sweep.worker.content import run_key

SAVED = "saved"
"""The part of a trial's folder that `save` and `save_file` write."""

MLX_ARRAYS = "arrays.safetensors"
NUMPY_ARRAYS = "arrays.npz"
FILES = "files"


class Checkpoint(dict[str, Any]):
    """What a trial saved last: arrays by name, as `save` was given them; `files` by name, as paths."""

    def __init__(self, arrays: Mapping[str, Any], files: Mapping[str, Path]) -> None:
        super().__init__(arrays)
        self.files = files


class Trial:
    """One trial, as the function that trains it sees it.

    `params` are its hyperparameters, fixed ones too. `folder` is kept with the trial: what is written there
    is there again where the trial resumes. `examples` is where it is stopped, None where it ends by itself.
    """

    def __init__(self, load: Load, folder: Path) -> None:
        plan = load.plan
        self.params: Mapping[str, Scalar] = dict(plan.hyperparameters)
        self.number: int = plan.number
        self.replicate: int = load.replicate
        self._folder = folder
        self.examples: int | None = plan.length.examples if plan.length.examples < UNBOUNDED else None
        self.has_saved = False
        self._load = load

    @property
    def folder(self) -> Path:
        """Its folder, made when it is first asked for."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    @cached_property
    def key(self) -> mx.array:
        """An MLX key of the trial's own, the same whenever and wherever it runs."""
        key: mx.array = run_key(self._load.plan, self.replicate)
        return key

    @cached_property
    def seed(self) -> int:
        """A seed of the trial's own below 2^32, for libraries that take one."""
        high, low = cast(list[int], self.key.tolist())
        return high ^ low

    @property
    def checkpoint(self) -> Checkpoint | None:
        """What was saved last, by this attempt or an earlier one; None where nothing was."""
        folder = self._folder / SAVED
        if not folder.is_dir():
            return None
        files = {path.name: path for path in sorted((folder / FILES).glob("*"))}
        return Checkpoint({**_mlx_arrays(folder), **_numpy_arrays(folder)}, files)

    def save(self, **arrays: Any) -> None:
        """Keep arrays of MLX or NumPy, or numbers, instead of those kept before.

        They reach the run directory with the next report that a checkpoint is taken of.
        """
        mine = {name: value for name, value in arrays.items() if isinstance(value, mx.array)}
        rest = {name: np.asarray(value) for name, value in arrays.items() if name not in mine}
        for name, value in rest.items():
            if value.dtype == object:
                raise TypeError(
                    f"save: {name} is no array and no number. Write it to a file, and save_file it"
                )
        with _Replacing(self.folder / SAVED) as folder:
            for name in (MLX_ARRAYS, NUMPY_ARRAYS):
                (folder / name).unlink(missing_ok=True)
            if mine:
                mx.save_safetensors(str(folder / MLX_ARRAYS), mine)
            if rest:
                with (folder / NUMPY_ARRAYS).open("wb") as file:
                    np.savez(file, **cast(dict[str, Any], rest))
        self.has_saved = True

    def save_file(self, path: str | Path) -> None:
        """Keep a copy of a file, under its name, beside what was kept before."""
        source = Path(path)
        with _Replacing(self.folder / SAVED) as folder:
            (folder / FILES).mkdir(exist_ok=True)
            (folder / FILES / source.name).unlink(missing_ok=True)
            shutil.copyfile(source, folder / FILES / source.name)
        self.has_saved = True

    def __repr__(self) -> str:
        return f"Trial({self.number}, {dict(self.params)})"


class _Replacing:
    """Write into a copy of a folder, which then takes its place: what is there is whole at any moment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fresh = folder.with_name(folder.name + ".new")
        self._old = folder.with_name(folder.name + ".old")

    def __enter__(self) -> Path:
        shutil.rmtree(self._fresh, ignore_errors=True)
        if self._folder.is_dir():
            shutil.copytree(self._folder, self._fresh, copy_function=_link)
        else:
            self._fresh.mkdir(parents=True)
        return self._fresh

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self._fresh, ignore_errors=True)
            return
        if self._folder.is_dir():
            self._folder.rename(self._old)
        self._fresh.rename(self._folder)
        shutil.rmtree(self._old, ignore_errors=True)


def _link(source: str, target: str) -> str:
    """Kept files are never written again, so a copy may share their bytes."""
    Path(target).hardlink_to(source)
    return target


def _mlx_arrays(folder: Path) -> dict[str, Any]:
    path = folder / MLX_ARRAYS
    return dict(mx.load(str(path))) if path.is_file() else {}  # type: ignore[arg-type]


def _numpy_arrays(folder: Path) -> dict[str, Any]:
    path = folder / NUMPY_ARRAYS
    if not path.is_file():
        return {}
    with np.load(path) as arrays:
        return {name: arrays[name] if arrays[name].shape else arrays[name].item() for name in arrays.files}
