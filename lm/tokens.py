"""Files of tokens and of texts, as windows of tokens: what a model with random weights is trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from train_core.data.sources import Source, TokenWindows
from train_core.errors import TaskError

PARTS = ("train", "valid", "test")
KINDS = ("npy", "bin", "jsonl")

LOOKED_AT = 50_000_000
"""Of a longer file only so many tokens are compared with the vocabulary: its beginning."""


def files(data: str, folder: Path) -> Iterator[Path]:
    """The files of a folder of data, those that are there."""
    place = _folder(data, folder) or folder / data
    for part in PARTS:
        yield from (path for kind in KINDS if (path := place / f"{part}.{kind}").is_file())


def _folder(data: str, folder: Path) -> Path | None:
    """Where the data lie: beside the study, or at a path."""
    return next((path for path in (folder / data, Path(data)) if path.is_dir()), None)


def located(data: str, folder: Path) -> list[Path]:
    """The files to train and to validate on, and where there is one to test on. Raises TaskError."""
    place = _folder(data, folder)
    if place is None:
        raise TaskError(
            f"data: {folder / data}: there is no such folder. Write one with train.bin and valid.bin"
        )
    return [file for part in PARTS if (file := _one(place, part)) is not None]


def _one(place: Path, part: str) -> Path | None:
    found = [path for kind in KINDS if (path := place / f"{part}.{kind}").is_file()]
    if len(found) == 1:
        return found[0]
    if not found and part == "test":
        return None
    if found:
        raise TaskError(f"data: {place}: holds {' and '.join(path.name for path in found)}. Keep one")
    hint = f"write {part}.npy or {part}.bin of tokens, or {part}.jsonl of texts"
    raise TaskError(f"data: {place}: has no file to {'train' if part == 'train' else 'validate'} on; {hint}")


class Some:
    """So many of a source's examples, evenly spread over it; the same for every trial."""

    def __init__(self, source: TokenWindows, most: int) -> None:
        self._source = source
        self._chosen = np.linspace(0, len(source), most, endpoint=False).astype(np.uint32)

    def __len__(self) -> int:
        return len(self._chosen)

    def fetch(self, indices: npt.NDArray[np.uint32]) -> Mapping[str, npt.NDArray[Any]]:
        return self._source.fetch(self._chosen[indices])


def windows(tokens: npt.NDArray[Any], file: Path, *, context: int, most: int) -> Source:
    """Windows of so many tokens, at most so many of them, -1 for all. Raises TaskError."""
    if len(tokens) <= context:
        raise TaskError(
            f"{file}: holds {len(tokens)} tokens, and an example takes max_seq_length {context} and one "
            "more. Lower max_seq_length"
        )
    source = TokenWindows(tokens, context=context)
    return Some(source, most) if 0 <= most < len(source) else source


def read(file: Path, *, token_type: str, tokenizer: Any, feature: str) -> npt.NDArray[Any]:
    """All tokens of a file one after the other, memory-mapped where they are stored so. Raises TaskError."""
    match file.suffix:
        case ".jsonl":
            if tokenizer is None:
                hint = "Write tokenizer in `fixed`, the folder of a model that has one"
                raise TaskError(f"{file}: texts become tokens by a tokenizer, and none is named. {hint}")
            return _tokenized(file, tokenizer, feature)
        case ".npy":
            return _array(file)
        case _:
            return _flat(file, np.dtype(token_type))


def _array(file: Path) -> npt.NDArray[Any]:
    try:
        found: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise TaskError(f"{file}: is not an array that NumPy saved: {error}") from error
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise TaskError(f"{file}: must hold integers in one dimension, got {found.dtype} {found.shape}")
    return found


def _flat(file: Path, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    size = file.stat().st_size
    if size == 0 or size % dtype.itemsize:
        raise TaskError(f"{file}: its {size} bytes are not tokens of {dtype}. Write token_type in `fixed`")
    return np.memmap(file, dtype, mode="r")


def _tokenized(file: Path, tokenizer: Any, feature: str) -> npt.NDArray[Any]:
    """The texts of all lines, each with the token that ends a text after it."""
    found: list[npt.NDArray[np.int32]] = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                example = json.loads(line)
            except json.JSONDecodeError as error:
                raise TaskError(f"{file}:{number}: not an example in JSON: {error.msg}") from error
            text = example.get(feature) if isinstance(example, dict) else None
            if not isinstance(text, str):
                raise TaskError(f"{file}:{number}: has no text as {feature!r}. Write text_feature in `fixed`")
            found.append(np.array([*tokenizer.encode(text), tokenizer.eos_token_id], np.int32))
    return np.concatenate(found) if found else np.zeros(0, np.int32)


def check(tokens: npt.NDArray[Any], file: Path, vocabulary: int | None) -> None:
    """Raise TaskError where there are tokens that the model does not know."""
    if vocabulary is None or not len(tokens):
        return
    some = tokens[:LOOKED_AT]
    least, largest = int(some.min()), int(some.max())
    if least < 0 or largest >= vocabulary:
        raise TaskError(
            f"{file}: holds token {largest if largest >= vocabulary else least}, and the model's vocab_size "
            f"is {vocabulary}. Use the tokenizer that it was made for, or check token_type"
        )
