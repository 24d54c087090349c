"""A minimal study file, changed in one place, and what is wrong with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.errors import Problem, SpecError
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description

MINIMAL = """\
name: digits
task: task.py:Digits
objective: {metric: validation_accuracy, direction: maximize}
space:
  learning_rate: {low: 1e-4, high: 1e-1, log: true}
trial:
  micro_batch_size: 32
  length: {epochs: 20}
budget: {trials: 4}
"""
DIGITS = Description(
    static=("hidden", "micro_batch_size", "optimizer", "precision"),
    switches=("gradient_clip",),
    dynamic=("dropout",),
    metrics=("train_loss", "validation_loss", "validation_accuracy"),
    train_examples=1437,
    validation_examples=360,
    device="cpu",
    chip="a chip",
    memory_bytes=10**9,
    vmap_incompatibility=None,
)
PLAIN = replace(DIGITS, static=())


def changed(old: str, new: str) -> str:
    assert MINIMAL.count(old) == 1
    return MINIMAL.replace(old, new)


def problems_in(text: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        parse(text, "study.yaml")
    return caught.value.problems


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


def with_space(entries: str, **extra: str) -> str:
    """The minimal study with more entries of space from line 6 on, and further sections at the end."""
    space = "".join(f"  {line}\n" for line in entries.splitlines())
    text = changed("trial:\n", space + "trial:\n")
    return text + "".join(f"{key}: {value}\n" for key, value in extra.items())


def spec_of(*entries: str) -> StudySpec:
    """The minimal study with this space."""
    space = "\n".join(f"  {entry}" for entry in entries)
    head, _, tail = MINIMAL.partition("space:\n")
    return parse(f"{head}space:\n{space}\n{tail[tail.index('trial:') :]}", "study.yaml")
