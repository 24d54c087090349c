"""Sources: token files, fetches ahead of the step, and what must not change from batch to batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tests.train_core.conftest import BASE, Small, assert_equal, assert_same, finish, program_of
from train_core import Dataset, Length, Population, Task, TaskError, TokenFile, keys
from train_core.data import prefetch
from train_core.data.sources import Reader, Source

LENGTH = Length(130, 50)
Change = Callable[[dict[str, Any], np.ndarray], Mapping[str, Any]]


class Rows:
    """Arrays behind `fetch`, which notes what was asked for and in which thread."""

    def __init__(self, arrays: Mapping[str, Any], change: Change = lambda rows, _: rows) -> None:
        self.arrays = dict(arrays)
        self.change = change
        self.fetched: list[list[int]] = []
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return len(self.arrays["x"])

    def fetch(self, indices: np.ndarray) -> Mapping[str, Any]:
        self.fetched.append(indices.tolist())
        self.threads.add(threading.current_thread().name)
        return self.change({name: array[indices] for name, array in self.arrays.items()}, indices)


class Sourced(Small):
    """The small task, its data behind sources."""

    def __init__(self, change: Change = lambda rows, _: rows) -> None:
        arrays: Any = Small().data()
        self.dataset = Dataset(Rows(arrays.train, change), Rows(arrays.validation))

    def data(self) -> Dataset:
        return self.dataset


def load(population: Population, lane: int, **changes: object) -> None:
    population.load(lane, key=keys.key(lane), hyperparameters=BASE | changes, length=LENGTH)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("chunk_bytes", [1, 64_000_000])
def test_a_source_trains_as_the_same_arrays_do_at_any_width(
    chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetch, "CHUNK_BYTES", chunk_bytes)
    sourced, plain = program_of(Sourced(), **BASE), program_of(Small(), **BASE)
    lanes = Population(sourced, 2)
    load(lanes, 0)
    load(lanes, 1, accumulation_steps=3, learning_rate=0.03)
    reports: list[Any] = []
    for _ in range(3):
        reports += lanes.advance().reports
    for lane, changes in enumerate(({}, {"accumulation_steps": 3, "learning_rate": 0.03})):
        for program in (sourced, plain):
            alone = Population(program, 1)
            alone.load(0, key=keys.key(lane), hyperparameters=BASE | changes, length=LENGTH)
            assert_same([r for r in reports if r.lane == lane], finish(alone, 0))
            assert_equal(lanes.snapshot(lane), alone.snapshot(0))


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_every_micro_batch_is_fetched_once_and_ahead_in_a_thread(limit: int) -> None:
    task = Sourced()
    population = Population(program_of(task, **BASE), 1)
    load(population, 0)
    rows: Any = task.dataset.train
    rows.fetched.clear()
    rows.threads.clear()
    done = population.advance(limit).micro_batches
    assert len(rows.fetched) > 0
    while done < 17:
        done += population.advance(limit).micro_batches
    stream = keys.fold_in(keys.key(0), keys.DATA)
    order = np.concatenate(keys.permutations([stream] * 3, [0, 1, 2], 50))[: 17 * 8].reshape(17, 8)
    assert rows.fetched == order.tolist()
    assert len(rows.threads) == 1
    assert threading.current_thread().name not in rows.threads


@pytest.mark.usefixtures("uncompiled")
def test_invariant_3_a_source_resumes_by_its_position() -> None:
    expected = Population(program_of(Small(), **BASE), 1)
    load(expected, 0, accumulation_steps=3)
    finish(expected, 0)
    program = program_of(Sourced(), **BASE)
    population = Population(program, 1)
    load(population, 0, accumulation_steps=3)
    population.advance(5)
    resumed = Population(program, 2)
    load(resumed, 0)
    resumed.advance(2)
    setting = BASE | {"accumulation_steps": 3}
    resumed.restore(1, population.snapshot(0), hyperparameters=setting, length=LENGTH)
    finish(resumed, 1)
    assert_equal(resumed.snapshot(1), expected.snapshot(0))


@pytest.mark.usefixtures("uncompiled")
def test_a_lane_taken_over_forgets_what_was_fetched_ahead() -> None:
    population = Population(program_of(Sourced(), **BASE), 2)
    load(population, 0)
    load(population, 1)
    population.advance(3)
    population.unload(1)
    setting = BASE | {"learning_rate": 0.03}
    population.load(1, key=keys.key(9), hyperparameters=setting, length=LENGTH)
    finish(population, 1)
    alone = Population(program_of(Small(), **BASE), 1)
    alone.load(0, key=keys.key(9), hyperparameters=setting, length=LENGTH)
    finish(alone, 0)
    assert_equal(population.snapshot(1), alone.snapshot(0))


def narrower(rows: dict[str, Any], indices: np.ndarray) -> Mapping[str, Any]:
    return rows | {"x": rows["x"][:, :5]} if len(indices) > 1 else rows


def retyped(rows: dict[str, Any], indices: np.ndarray) -> Mapping[str, Any]:
    return rows | {"y": rows["y"].astype(np.float32)} if len(indices) > 1 else rows


def lacking(rows: dict[str, Any], indices: np.ndarray) -> Mapping[str, Any]:
    return {name: rows[name] for name in "xy"} if len(indices) > 1 else rows


def fewer(rows: dict[str, Any], indices: np.ndarray) -> Mapping[str, Any]:
    return {name: row[:7] for name, row in rows.items()}


def failing(rows: dict[str, Any], indices: np.ndarray) -> Mapping[str, Any]:
    return rows if len(indices) == 1 else {"x": rows["pixels"]}


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (narrower, r"Sourced\.data: train: x of every batch must have shape \(8, 6\).*got shape \(8, 5\)"),
        (
            retyped,
            r"train: y of every batch must have .*dtype int32, as .*got shape \(8,\) and dtype float32",
        ),
        (lacking, r"train: fetch must return the fields \['w', 'x', 'y'\], got \['x', 'y'\]"),
        (fewer, r"train: x of every batch must have shape \(8, 6\).*got shape \(7, 6\)"),
        (failing, r"test_sources\.py:\d+: in Sourced\.data: KeyError: 'pixels'"),
    ],
)
def test_a_batch_of_another_kind_is_named(change: Change, said: str) -> None:
    population = Population(program_of(Sourced(change), **BASE), 1)
    load(population, 0)
    with pytest.raises(TaskError, match=said):
        population.advance()


def test_64_bit_fields_are_narrowed_by_dtype_and_held_to_it() -> None:
    rows = Rows({"x": np.array([1, 2, 2**40]), "f": np.zeros(3), "h": np.zeros(3, np.float16)})
    reader = Reader(rows, "Task.data: train")
    found = reader.read(np.array([0, 1], np.uint32))
    assert {name: str(array.dtype) for name, array in found.items()} == {
        "x": "int32",
        "f": "float32",
        "h": "float16",
    }
    with pytest.raises(TaskError, match="train: x must fit int32, got 1099511627776 to"):
        reader.read(np.array([2], np.uint32))


def test_token_files_give_windows_and_the_tokens_after_them(tmp_path: Path) -> None:
    path = tmp_path / "tokens.bin"
    np.arange(23, dtype=np.uint16).tofile(path)
    source = TokenFile(path, context=5)
    assert isinstance(source, Source)
    assert len(source) == 4
    found = source.fetch(np.array([3, 0], np.uint32))
    np.testing.assert_array_equal(found["inputs"], [range(15, 20), range(5)])
    np.testing.assert_array_equal(found["targets"], [range(16, 21), range(1, 6)])
    assert {str(array.dtype) for array in found.values()} == {"int32"}
    with pytest.raises(TaskError, match=r"tokens\.bin: its 46 bytes are not whole uint32 tokens of 4 bytes"):
        TokenFile(path, context=5, dtype=np.uint32)
    with pytest.raises(TaskError, match="23 tokens do not fill a context of 23"):
        TokenFile(path, context=23)
    with pytest.raises(TaskError, match="no such file of tokens"):
        TokenFile(tmp_path / "none", context=5)


class Neither(Small):
    def data(self) -> Dataset:
        nothing: Any = [1, 2]
        return Dataset(train=nothing, validation={})


class Empty(Task):
    def data(self) -> Dataset:
        return Dataset(train=Rows({"x": np.zeros(0)}), validation={})


def test_data_that_is_neither_arrays_nor_a_source_is_named() -> None:
    with pytest.raises(TaskError, match=r"Neither\.data: train must be a dict of arrays or a Source"):
        program_of(Neither(), **BASE)
    with pytest.raises(TaskError, match=r"Empty\.data: train: there are no examples"):
        program_of(Empty())


def test_data_draws_the_same_in_every_process() -> None:
    class Drawing(Small):
        def data(self) -> Dataset:
            x = np.array(mx.random.normal((3, 6)))
            return Dataset({"x": x}, {"x": x})

    first, second = (program_of(Drawing(), **BASE).data.train["x"] for _ in range(2))
    np.testing.assert_array_equal(np.array(first), np.array(second))
