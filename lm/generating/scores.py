"""What generated texts are worth: exact match, or what a function of the user's own says of each."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from lm.generating.prompts import Prompt
from train_core import loading
from train_core.errors import TaskError
from train_core.written_at import own_frame

EXACT_MATCH = "exact_match"
HARNESS = "lm_eval"
"""What names a task of lm-evaluation-harness begins with: `lm_eval:arc_easy`."""

Score = Callable[[str, str, str], Any]


def listed(metrics: str) -> list[str]:
    """The metrics that a text names, with commas between."""
    return [name.strip() for name in metrics.split(",")]


def is_known(metric: str) -> bool:
    """Whether a name can be a metric: `exact_match`, `lm_eval:task`, `file.py:function`."""
    place, _, name = metric.rpartition(":")
    if place == HARNESS:
        return name != ""
    return metric == EXACT_MATCH or (place.endswith(".py") and name.isidentifier())


def files(metrics: str) -> Iterator[str]:
    """The files that they lie in: functions and tasks of the user's own."""
    for metric in listed(metrics):
        place, _, name = metric.rpartition(":")
        if place.endswith(".py"):
            yield place
        elif place == HARNESS and name.endswith(".yaml"):
            yield name


def mean_scores(
    metric: str, folder: Path, file: Path, prompts: Sequence[Prompt], texts: Sequence[str]
) -> dict[str, float]:
    """The means of a metric over all texts, by name. Raises TaskError.

    A function's number is named after it; of a dict each entry has its own name.
    """
    if metric == EXACT_MATCH:
        same = [text.strip() == prompt.reference.strip() for prompt, text in zip(prompts, texts, strict=True)]
        return {EXACT_MATCH: fmean(same)}
    score, name = _loaded(folder, metric), metric.rpartition(":")[2]
    found = [
        _scored(score, name, f"{file}:{prompt.line}", prompt, text)
        for prompt, text in zip(prompts, texts, strict=True)
    ]
    for prompt, scores in zip(prompts, found, strict=True):
        if scores.keys() != found[0].keys():
            listed = ", ".join(scores) or "nothing"
            raise TaskError(
                f"{metric}: of {file}:{prompt.line} it returned {listed}, of others {', '.join(found[0])}. "
                "Return the same names each time"
            )
    return {each: fmean(scores[each] for scores in found) for each in found[0]}


@cache
def _loaded(folder: Path, target: str) -> Score:
    try:
        score: Score = loading.load_object(str(folder), target, "function")
    except loading.TaskLoadError as error:
        place = f"{error.file}:{error.line}: " if error.file and error.line else ""
        raise TaskError(f"generation_metrics: {target}: {place}{error.problem}") from error
    name = target.rpartition(":")[2]
    try:
        inspect.signature(score).bind("prompt", "text", "reference")
    except (TypeError, ValueError) as error:
        raise TaskError(
            f"generation_metrics: {target}: is called as {name}(prompt, text, reference): {error}"
        ) from error
    return score


def _scored(score: Score, name: str, example: str, prompt: Prompt, text: str) -> dict[str, float]:
    try:
        found = score(prompt.asked, text, prompt.reference)
    except (Exception, SystemExit) as error:  # the user's own code
        frame = own_frame(error.__traceback__, (__file__,))
        place = f"{frame.filename}:{frame.lineno}: " if frame else ""
        problem = f"{type(error).__name__}: {error}"
        raise TaskError(f"{place}in {name}, of the text for {example}: {problem}") from error
    scores = found if isinstance(found, Mapping) else {name: found}
    numbers = {str(each): _number(value) for each, value in scores.items()}
    if not numbers or None in numbers.values() or "" in numbers:
        rule = "a finite number, or a dict of these by name"
        raise TaskError(f"{name} must return {rule}, got {found!r} of the text for {example}")
    return {each: value for each, value in numbers.items() if value is not None}


def _number(value: Any) -> float | None:
    """A finite number of Python's, NumPy's or MLX's; None for anything else."""
    value = value.item() if getattr(value, "shape", None) == () else value
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        number = math.inf
    return number if math.isfinite(number) else None
