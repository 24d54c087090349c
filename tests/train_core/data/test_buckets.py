"""Examples of like length: batches of one bucket, each example once an epoch, lanes exact at any width."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import train_core
from tests.train_core.conftest import TOLERANCE, against_alone, assert_equal, finish, program_of
from train_core import Dataset, DeviceDataset, Length, Mean, Population, Task, TaskError, keys
from train_core.data.buckets import MOST, Buckets
from train_core.data.index_sampler import IndexSampler

SIZE, BATCH = 50, 4
LENGTHS = np.random.default_rng(0).integers(1, 96, SIZE)
SETTING: dict[str, Any] = {"micro_batch_size": BATCH, "learning_rate": 1e-2, "dropout": 0.3}


class Words(Task):
    """Predicts the next of few words in texts of many lengths; what is padded is not counted."""

    lengths: Any = MappingProxyType({"train": LENGTHS, "validation": LENGTHS})
    padded = ("words",)
    pad_to: Any = 32

    def data(self) -> Dataset:
        words = np.random.default_rng(1).integers(0, 8, (SIZE, 97)).astype(np.int32)
        part = {"words": words, "length": LENGTHS.astype(np.int32)}
        return Dataset(
            train=part, validation=part, lengths=self.lengths, padded=self.padded, pad_to=self.pad_to
        )

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Embedding(8, 16), nn.Linear(16, 8))

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        words = batch["words"]
        found = model.layers[0](words[:, :-1])
        if model.training:
            found = train_core.Dropout().padded(found, hp.dropout)
        losses = train_core.cross_entropy(model.layers[1](found), words[:, 1:])
        return train_core.token_mean(losses, mx.arange(losses.shape[1]) < batch["length"][:, None] - 1)

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}


class Whole(Words):
    """The same without buckets: every batch is as wide as the longest text."""

    lengths = None


class Rows:
    """The words of some texts, read as they are asked for."""

    def __init__(self, part: Mapping[str, Any]) -> None:
        self.part = part

    def __len__(self) -> int:
        return SIZE

    def fetch(self, indices: Any) -> dict[str, Any]:
        return {name: each[indices] for name, each in self.part.items()}


class Streamed(Words):
    """The same from a source, which is read one micro-batch at a time."""

    def data(self) -> Dataset:
        found = super().data()
        assert isinstance(found.train, dict)
        rows = Rows(found.train)
        return Dataset(train=rows, validation=rows, lengths=self.lengths, padded=self.padded)


def buckets(lengths: Any = LENGTHS) -> Buckets:
    return Buckets.made(np.asarray(lengths), ("words",), pad_to=32, longest=97)


def test_widths_are_few_and_pad_least() -> None:
    assert buckets().widths == (32, 64, 96)
    assert buckets([1, 97]).widths == (32, 97)
    many = Buckets.made(np.repeat(np.arange(1, 41), [9] * 8 + [1] * 32), (), pad_to=1, longest=40)
    assert len(many.widths) == MOST
    assert many.widths[-1] == 40
    assert many.width(np.array([0], np.uint32)) < 4


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16, np.uint32, np.uint64])
def test_lengths_of_any_integers_are_not_cut(kind: Any) -> None:
    longest = min(int(np.iinfo(kind).max), 40_000)
    lengths = np.array([0, 1, longest - 1, longest], kind)
    made = Buckets.made(lengths, ("words",), pad_to=24, longest=longest)
    assert [made.width(np.array([each])) for each in range(4)] == [24, 24, longest, longest]


def test_among_thousands_of_widths_the_same_are_found_as_by_trying_all() -> None:
    found, chance = 0, np.random.default_rng(2)
    for _ in range(20):
        lengths = chance.integers(1, 14, 60)
        widths = np.unique(lengths)
        made = Buckets.made(lengths, (), pad_to=1, longest=14)
        choices = [
            each
            for fewer in range(min(MOST, len(widths)))
            for each in combinations(widths[:-1].tolist(), fewer)
        ]
        padded = [np.take((*each, widths[-1]), np.searchsorted(each, lengths)).sum() for each in choices]
        assert np.take(made.widths, made.of).sum() == min(padded)
        found += len(widths) > MOST
    assert found
    many = Buckets.made(np.arange(1, 3001), (), pad_to=1, longest=3000)
    assert many.widths == tuple(range(375, 3001, 375))


def test_an_epoch_holds_each_example_once_and_most_batches_one_bucket() -> None:
    made = buckets()
    sampler = IndexSampler(keys.key(0), SIZE, made, batch=BATCH)
    stream = np.concatenate([sampler.take(place, BATCH) for place in range(0, 4 * SIZE, BATCH)])
    for epoch in range(4):
        assert sorted(stream[epoch * SIZE : (epoch + 1) * SIZE]) == list(range(SIZE))
    mixed = sum(len(set(made.of[row])) > 1 for row in stream.reshape(-1, BATCH))
    assert mixed <= 4 * 3 + 1
    widths = [made.width(row) for row in stream.reshape(-1, BATCH)]
    assert widths != sorted(widths)


def test_the_order_depends_on_the_position_alone() -> None:
    sampler, again = (IndexSampler(keys.key(3), SIZE, buckets(), batch=BATCH) for _ in range(2))
    whole = sampler.take(0, 3 * SIZE)
    assert again.take(2 * SIZE + 8, 20).tolist() == whole[2 * SIZE + 8 : 2 * SIZE + 28].tolist()


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_invariant_2_lanes_of_other_widths_equal_their_runs_alone() -> None:
    against_alone(
        Words(), *({**SETTING, "dropout": 0.1 * lane} for lane in range(1, 4)), length=Length(96, 48)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_invariant_2_a_source_of_texts_of_many_lengths_trains_as_arrays_do() -> None:
    settings = [{**SETTING, "dropout": 0.1 * lane} for lane in range(1, 3)]
    streamed, held = (against_alone(task, *settings, length=Length(56, 28)) for task in (Streamed(), Words()))
    for one, other in zip(streamed, held, strict=True):
        assert_equal(one, other)


@pytest.mark.usefixtures("uncompiled")
def test_invariant_3_a_run_resumes_between_its_batches() -> None:
    program, length = program_of(Words(), **SETTING), Length(96, 96)
    whole, begun, resumed = (Population(program, width) for width in (1, 1, 2))
    for population in (whole, begun):
        population.load(0, key=keys.key(1), hyperparameters=SETTING, length=length)
    begun.advance(7)
    resumed.restore(1, begun.snapshot(0), hyperparameters=SETTING, length=length)
    found, expected = (finish(*each)[-1].metrics for each in ((resumed, 1), (whole, 0)))
    assert found == pytest.approx(expected, rel=TOLERANCE, abs=0.0)


@pytest.mark.usefixtures("uncompiled")
def test_validation_is_what_it_is_without_buckets() -> None:
    losses = []
    for task in (Words(), Whole()):
        population = Population(program_of(task, **SETTING), 1)
        given = {**SETTING, "learning_rate": 0.0}
        population.load(0, key=keys.key(0), hyperparameters=given, length=Length(BATCH, BATCH))
        losses.append(population.advance().reports[0].metrics["validation_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


@pytest.mark.slow
def test_there_are_as_many_traces_as_widths() -> None:
    program = program_of(Words(), **SETTING)
    population = Population(program, 1)
    population.load(0, key=keys.key(0), hyperparameters=SETTING, length=Length(2 * SIZE, 2 * SIZE))
    population.advance()
    assert program.traces <= 2 * len(buckets().widths)


@pytest.mark.parametrize(
    ("lengths", "padded", "said"),
    [
        ({"train": LENGTHS}, ("words",), r"lengths\['validation'\] is missing"),
        ({"train": LENGTHS[1:]}, ("words",), r"lengths\['train'\] must be 50 integers, got int64 \(49,\)"),
        (
            {"train": LENGTHS},
            ("length",),
            r"padded must name fields \(examples, length, ...\) .* such as words",
        ),
        ({"train": LENGTHS + 9}, ("words",), r"has 10\d, and words hold 97"),
        ({"train": LENGTHS - 9}, ("words",), r"lengths\['train'\] has -8; a length is 0 or more"),
        ({"train": [[1], [1, 2]]}, ("words",), r"Words.data: ValueError: .*inhomogeneous"),
    ],
)
def test_lengths_that_do_not_fit_are_a_line(lengths: Any, padded: Any, said: str) -> None:
    task = Words()
    task.lengths, task.padded = lengths, padded
    with pytest.raises(TaskError, match=said):
        DeviceDataset.of(task)


@pytest.mark.parametrize("pad_to", [0, -32, 1.5, None])
def test_what_cannot_be_padded_to_is_a_line(pad_to: Any) -> None:
    task = Words()
    task.pad_to = pad_to
    with pytest.raises(TaskError, match=r"Words.data: pad_to must be an integer of at least 1, got"):
        DeviceDataset.of(task)


def test_all_of_one_length_one_example_and_fewer_than_a_batch_have_their_order() -> None:
    for lengths in ([5] * 7, [0], [3, 90], [0, 0, 97]):
        made, size = buckets(lengths), len(lengths)
        sampler = IndexSampler(keys.key(1), size, made, batch=BATCH)
        stream = np.concatenate([sampler.take(place, BATCH) for place in range(0, 4 * BATCH * size, BATCH)])
        for epoch in stream.reshape(-1, size):
            assert sorted(epoch) == list(range(size))
        again = IndexSampler(keys.key(1), size, made, batch=BATCH)
        assert again.take(2 * BATCH, BATCH).tolist() == stream[2 * BATCH : 3 * BATCH].tolist()
