"""Pruners' resources and warm-ups as lengths, `{epochs: 1}`, which Optuna counts in examples."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from configfile import validation
from configfile.yamlfile import Document, Path
from sweep.errors import Problem
from sweep.spec.hyperparameters import LENGTH
from sweep.spec.resolve import extent_examples, with_fixed
from sweep.spec.schema import Extent, Pruner, StudySpec

SOME_EXAMPLES = 1_000_000
"""The size of a training set, where the task is not known yet and any will do."""

VARIED = ("accumulation_steps", "micro_batch_size")
"""With these in `space`, an update is another number of examples in each trial."""


def is_length(value: object) -> bool:
    """Whether an argument of a pruner is a length: a mapping whose keys are all units."""
    return isinstance(value, dict) and bool(value) and value.keys() <= set(LENGTH)


def problems(document: Document, pruner: Pruner, varied: Container[str]) -> Iterator[Problem]:
    """What is wrong with the lengths among a pruner's arguments; `varied` are the names in `space`."""
    for path, value in _lengths(("pruner",), pruner.arguments):
        try:
            extent = Extent.model_validate(value)
        except ValidationError as error:
            yield from validation.problems(document, path, error, lambda path: LENGTH)
            continue
        if extent.updates is not None and any(name in varied for name in VARIED):
            what = "`updates` is another number of examples in each trial"
            yield document.problem(path, what, "", "give it in epochs or examples")


def pruner_in_examples(spec: StudySpec, train_examples: int) -> StudySpec:
    """The same study with the lengths among its pruner's arguments as examples."""
    hyperparameters = with_fixed(spec, {})

    def converted(value: Any) -> Any:
        if is_length(value):
            return extent_examples(Extent.model_validate(value), train_examples, hyperparameters)
        return {name: converted(each) for name, each in value.items()} if isinstance(value, dict) else value

    arguments = converted(dict(spec.pruner.arguments))
    if arguments == spec.pruner.arguments:
        return spec
    pruner = Pruner(name=spec.pruner.name, metric=spec.pruner.metric, **arguments)
    return spec.model_copy(update={"pruner": pruner})


def _lengths(path: Path, arguments: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for name, value in arguments.items():
        if is_length(value):
            yield (*path, name), value
        elif isinstance(value, dict):
            yield from _lengths((*path, name), value)
