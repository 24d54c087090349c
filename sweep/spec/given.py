"""A study in any form that a Python caller has it in: a path, YAML text, a mapping, or a StudySpec."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from configfile import plain, yamlfile
from configfile.problems import ConfigError
from sweep.errors import Problem, SpecError, SweepError
from sweep.spec.parse import from_document, load, parse
from sweep.spec.resolve import with_budget_trials, with_cluster
from sweep.spec.schema import StudySpec

Study = str | Path | Mapping[str, Any] | StudySpec
"""A path, YAML text (of several lines), a mapping with the study file's keys, or a StudySpec."""

TEXT = "study"
"""What messages call a study that is no file; its task is looked for from the working directory."""


def study_of(study: Study, *, trials: int | None = None, cluster: str | Path | None = None) -> StudySpec:
    """The study, with another total of trials or another cluster where they are given.

    Raises SpecError with every problem found.
    """
    spec = _read(study)
    if trials is not None:
        spec = with_budget_trials(spec, _total(trials))
    return spec if cluster is None else with_cluster(spec, str(cluster))


def _read(study: Study) -> StudySpec:
    match study:
        case StudySpec():
            return study
        case Mapping():
            return from_values(study)
        case str() if "\n" in study:
            return parse(study, TEXT)
        case str() | PathLike():
            return load(study)
        case _:
            raise SweepError(
                f"a study is a path, text, a mapping or a StudySpec, got {type(study).__name__}. "
                'Give one, such as "study.yaml"'
            )


def _total(trials: Any) -> int:
    found = plain.scalar(trials)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        problem = Problem(TEXT, "must be an integer of at least 1", "trials", found=repr(trials))
        raise SpecError([problem])
    return found


def from_values(values: Mapping[str, Any]) -> StudySpec:
    """The study in a mapping with the study file's keys. Raises SpecError with every problem found."""
    try:
        document = yamlfile.document(values, TEXT)
    except ConfigError as error:
        raise SpecError(error.problems) from error
    return from_document(document)
