"""One trial, as what trains it sees it: its hyperparameters, its key, its folder, and what it saved.

MLX and NumPy are imported when they are first needed: a program that asks for trials may use neither.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sweep.vocabulary.trial import Scalar
from sweep.vocabulary.turn import Load

if TYPE_CHECKING:
    import mlx.core as mx

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


class KeptTrial:
    """What all trials have that keep a folder; `has_saved` until a checkpoint of what was saved is taken."""

    def __init__(self, load: Load) -> None:
        self.params: Mapping[str, Scalar] = dict(load.plan.hyperparameters)
        self.number: int = load.plan.number
        self.replicate: int = load.replicate
        self.has_saved = False
        self.load = load

    def _place(self) -> Path:
        """Where its folder lies, once there is one."""
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        """Its folder, made when it is first asked for."""
        folder = self._place()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @cached_property
    def key(self) -> mx.array:
        """An MLX key of the trial's own, the same whenever and wherever it runs."""
        from sweep.worker.content import run_key

        key: mx.array = run_key(self.load.plan, self.replicate)
        return key

    @cached_property
    def seed(self) -> int:
        """A seed of the trial's own below 2^32, for libraries that take one."""
        high, low = cast(list[int], self.key.tolist())
        return high ^ low

    @property
    def checkpoint(self) -> Checkpoint | None:
        """What was saved last, by this attempt or an earlier one; None where nothing was."""
        folder = self._place() / SAVED
        if not folder.is_dir():
            return None
        files = {path.name: path for path in sorted((folder / FILES).glob("*"))}
        return Checkpoint({**_mlx_arrays(folder), **_numpy_arrays(folder)}, files)

    def save(self, **arrays: Any) -> None:
        """Keep arrays of MLX or NumPy, or numbers, instead of those kept before.

        They reach the run directory with the next report that a checkpoint is taken of.
        """
        import numpy as np

        mine = {name: value for name, value in arrays.items() if _is_mlx(value)}
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
                import mlx.core as mx

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


def _is_mlx(value: Any) -> bool:
    return type(value).__module__ == "mlx.core" and type(value).__name__ == "array"


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
    if not path.is_file():
        return {}
    import mlx.core as mx

    return dict(mx.load(str(path)))  # type: ignore[arg-type]


def _numpy_arrays(folder: Path) -> dict[str, Any]:
    path = folder / NUMPY_ARRAYS
    if not path.is_file():
        return {}
    import numpy as np

    with np.load(path) as arrays:
        return {name: arrays[name] if arrays[name].shape else arrays[name].item() for name in arrays.files}
