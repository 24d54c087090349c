"""Pruners' resources and warm-ups as lengths, `{epochs: 1}`, which Optuna counts in examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from configfile import validation
from configfile.yamlfile import Path
from sweep.errors import Problem
from sweep.spec.hyperparameters import LENGTH
from sweep.spec.resolve import extent_examples, with_fixed
from sweep.spec.schema import Extent, Pruner, StudySpec
from sweep.vocabulary.turn import Trainable

VARIED = ("accumulation_steps", "micro_batch_size")
"""With these in `space`, an update is another number of examples in each trial."""


RESOURCES = ("min_resource", "max_resource", "n_warmup_steps", "interval_steps")
"""Arguments of pruners that count examples, as reports do, and may be lengths."""


def problems(spec: StudySpec) -> Iterator[Problem]:
    """What is wrong with the lengths among the pruner's arguments."""
    document = spec.document
    for path, value in _lengths(("pruner",), spec.pruner.arguments):
        try:
            extent = Extent.model_validate(value)
        except ValidationError as error:
            yield from validation.problems(document, path, error, lambda path: LENGTH)
            continue
        if extent.examples is None and spec.trainable is not Trainable.TASK:
            yield document.problem(
                path, f"a {spec.trainable} counts examples only", "", "give it in examples"
            )
        elif extent.updates is not None and any(name in spec.space for name in VARIED):
            what = "`updates` is another number of examples in each trial"
            yield document.problem(path, what, "", "give it in epochs or examples")


def pruner_in_examples(spec: StudySpec, train_examples: int) -> StudySpec:
    """The same study with the lengths among its pruner's arguments as examples."""
    hyperparameters = with_fixed(spec, {})

    def converted(name: str, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if name in RESOURCES:
            return extent_examples(Extent.model_validate(value), train_examples, hyperparameters)
        return {key: converted(key, each) for key, each in value.items()}

    arguments = converted("", dict(spec.pruner.arguments))
    if arguments == spec.pruner.arguments:
        return spec
    pruner = Pruner(name=spec.pruner.name, metric=spec.pruner.metric, **arguments)
    return spec.model_copy(update={"pruner": pruner})


def _lengths(path: Path, arguments: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for name, value in arguments.items():
        if isinstance(value, dict) and name in RESOURCES:
            yield (*path, name), value
        elif isinstance(value, dict):
            yield from _lengths((*path, name), value)
