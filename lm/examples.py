"""The examples of a folder of jsonl files, through mlx-lm's loader, as rows of tokens."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from mlx_lm.tuner.datasets import ChatDataset, CompletionsDataset, create_dataset

from train_core.errors import TaskError

PAD_TO = 32
"""A batch is as wide as its longest example's inputs, rounded up to a multiple of this."""

PARTS = {"train": "train", "validation": "valid", "test": "test"}
"""A part of the data -> what mlx-lm calls its file; the last need not be there."""

Rows = dict[str, npt.NDArray[np.int32]]


def located(data: str, folder: Path) -> Path:
    """Where the data lie: beside the study, or at a path. Raises TaskError."""
    for path in (folder / data, Path(data)):
        if path.is_dir():
            return path
    raise TaskError(
        f"data: {folder / data}: there is no such folder. Write one that holds train.jsonl and valid.jsonl; "
        "save a dataset of the hub as these first"
    )


def files(data: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that are read of a folder of data, by name; those of one that is missing are so, too."""
    place = next((path for path in (folder / data, Path(data)) if path.is_dir()), folder / data)
    for name in PARTS.values():
        yield f"{name}.jsonl", place / f"{name}.jsonl"


def chosen(count: int, most: int | None) -> npt.NDArray[np.intp]:
    """Which of so many examples are taken where it is at most `most`: the same for every trial, anywhere."""
    if most is None or most >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def load(
    folder: Path,
    tokenizer: Any,
    features: Mapping[str, Any],
    *,
    longest: int,
    most: Mapping[str, int | None],
) -> dict[str, Rows]:
    """By part tokens `inputs` and `targets` (N, T), and `span` (N, 2): where what counts begins and ends.

    `features` are mlx-lm's: which of an example's keys hold what, and `mask_prompt`; `most` says how many
    examples of a part are taken. Raises TaskError.
    """
    found = {}
    for name, called in PARTS.items():
        file = folder / f"{called}.jsonl"
        if name != "test" or file.is_file():
            found[name] = _rows(part(folder, called, tokenizer, features), file, longest, most.get(name))
    return found


def part(folder: Path, name: str, tokenizer: Any, features: Mapping[str, Any]) -> Any:
    """The examples of a file, `train`, `valid` or `test`, as a dataset of mlx-lm. Raises TaskError."""
    file = folder / f"{name}.jsonl"
    if not file.is_file():
        raise TaskError(f"data: {folder} has no {file.name}; write it, one example in JSON a line")
    examples = []
    with file.open(encoding="utf-8") as lines:  # str.splitlines would also cut where JSON has a U+2028
        for number, line in enumerate(lines, 1):
            try:
                examples.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise TaskError(f"{file}:{number}: not an example in JSON: {error.msg}") from error
    if not examples:
        raise TaskError(f"data: {file} holds no example")
    try:
        found = create_dataset(examples, tokenizer, SimpleNamespace(**features))
    except (ValueError, TypeError) as error:
        raise TaskError(f"{file}: {_one_line(error)}") from error
    if isinstance(found, ChatDataset | CompletionsDataset) and not tokenizer.has_chat_template:
        raise TaskError(
            f"{file}: the model's tokenizer has no chat template, which turns messages into text. "
            'Write {"text": ...} examples, or choose a model with one'
        )
    return found


def _rows(dataset: Any, file: Path, longest: int, most: int | None) -> Rows:
    found = [_tokens(dataset, int(index), file) for index in chosen(len(dataset), most)]
    _check_cuts(found, file, longest)
    length = min(longest, 1 + PAD_TO * -(-max(len(tokens) for tokens, _ in found) // PAD_TO))
    x, span = np.zeros((len(found), length), np.int32), np.zeros((len(found), 2), np.int32)
    for row, (tokens, offset) in enumerate(found):
        kept = tokens[:length]
        x[row, : len(kept)] = kept
        span[row] = offset, len(kept)
    return {"inputs": x[:, :-1], "targets": x[:, 1:], "span": span}


def _tokens(dataset: Any, index: int, file: Path) -> tuple[list[int], int]:
    with reading(file, index):
        tokens, offset = dataset.process(dataset[index])
    return tokens, offset


@contextmanager
def reading(file: Path, index: int) -> Iterator[None]:
    """Turn what reading an example raises into a TaskError with its line."""
    try:
        yield
    except Exception as error:  # templates are programs, and raise what they like
        problem = f"{type(error).__name__}: {_one_line(error)}"
        raise TaskError(f"{file}:{index + 1}: mlx-lm cannot read this example: {problem}") from error


def _check_cuts(found: list[tuple[list[int], int]], file: Path, longest: int) -> None:
    cut = sum(len(tokens) > longest for tokens, _ in found)
    lost = sum(offset >= longest for _, offset in found)
    if lost == len(found):
        raise TaskError(f"{file}: no example has an answer within max_seq_length {longest}. Raise it")
    if cut:
        left = f", and {lost} have no answer left" if lost else ""
        print(
            f"{file}: {cut} of {len(found)} examples are cut to max_seq_length {longest}{left}",
            file=sys.stderr,
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
