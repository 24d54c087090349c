"""A few hundred mutated study files. `make mutate` reads as many as are asked for."""

from __future__ import annotations

import pytest

from sweep.spec.parse import parse
from tests.mutation import __main__ as mutation
from tests.mutation.mutations import VALUES, mutated
from tests.mutation.texts import texts

FILES = 250


def test_every_text_to_start_from_is_a_study() -> None:
    for text in texts():
        parse(text, "study.yaml")


@pytest.mark.slow
def test_invariant_10_a_mutated_study_file_is_a_study_or_is_refused_in_words() -> None:
    tally = mutation.read_seeds(0, FILES)
    assert not tally.wrong, "\n".join(f"seed {seed}: {text}" for seed, text in tally.wrong.items())
    assert tally.counts["studies"] > FILES // 20
    assert tally.counts["refused"] > FILES // 3


def test_a_seed_decides_the_file() -> None:
    before = repr(VALUES)
    first = [mutated(seed) for seed in range(20)]
    for seed in range(20, 400):
        mutated(seed)
    assert [mutated(seed) for seed in range(20)] == first
    assert repr(VALUES) == before, "what is put into one file was changed in it, and is in the next one"


@pytest.mark.slow
def test_an_error_that_is_none_of_ours_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OverflowError

    monkeypatch.setattr(mutation, "check_choices", broken)
    assert mutation.read_seeds(0, 40).counts["foreign"] > 0
