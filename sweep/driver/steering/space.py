"""Points to try, compared with the space: by the rules of the study file's `enqueue`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from configfile import yamlfile
from configfile.problems import ConfigError, Problem
from sweep.driver.steering.refusal import Refusal
from sweep.errors import SpecError
from sweep.spec.parse import from_document
from sweep.spec.resolve import resolved
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Scalar


def checked_point(spec: StudySpec, point: Mapping[str, Any]) -> dict[str, Scalar]:
    """The point as the study file would have it. Raises Refusal where it is not in the space."""
    if not point:
        raise Refusal("a point needs a value at least. Write NAME=VALUE")
    try:
        document = yamlfile.document({**resolved(spec), "enqueue": [dict(point)]}, "enqueue")
        return dict(from_document(document).enqueue[0])
    except (SpecError, ConfigError) as error:
        raise Refusal("; ".join(map(_text, error.problems))) from error


def misfit(spec: StudySpec, point: Mapping[str, Any]) -> str | None:
    """Why a point is not in the space; None where it is."""
    try:
        checked_point(spec, point)
    except Refusal as refusal:
        return str(refusal)
    return None


def _text(problem: Problem) -> str:
    return str(problem).removeprefix(f"{problem.file}: ").removeprefix("enqueue[0].")
