"""Study files with one sampler or one pruner."""

from __future__ import annotations

from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from tests.sweep.conftest import STUDY


def with_sampler(spec: StudySpec, name: str, **arguments: object) -> StudySpec:
    return spec.model_copy(update={"sampler": type(spec.sampler)(name=name, **arguments)})  # type: ignore[arg-type]


def with_pruner(text: str, *changes: tuple[str, str]) -> StudySpec:
    study = STUDY + f"pruner: {text}\n"
    for old, new in changes:
        assert old in study
        study = study.replace(old, new)
    return parse(study, "study.yaml")
