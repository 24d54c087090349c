"""The sampler's proposals and the pruner's verdicts again, from the results that a run recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import nan
from typing import TYPE_CHECKING

from sweep.api.replaying.recorded import Difference, Trial, is_same
from sweep.rundir.history import History
from sweep.spec.order import INDEPENDENT, lag_of
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import BoundaryRow, Outcome, TrialState

if TYPE_CHECKING:
    from sweep.search.study import Study


BY_HAND = {"enqueue", "prune", "finish", "set"}
"""Requests that change what is proposed, or how a trial ends."""


def obstacle(spec: StudySpec, history: History) -> str | None:
    """Why proposals and verdicts cannot be repeated; None where they can."""
    study = history.study
    independent = spec.sampler.name in INDEPENDENT and spec.pruner.name == "none"
    if lag_of(spec) is None and not independent:
        return "they depend on the order in which results arrived (order: free)"
    if study.edits:
        return "the space was edited on the way"
    if spec.warm_start or spec.extends is not None or spec.storage is not None:
        return "they depend on trials of elsewhere"
    if any(row.retries is not None for row in study.trials.values()):
        return "failed trials were asked again by hand"
    if verbs := {each.verb for each in study.steered.answered.values() if each.accepted} & BY_HAND:
        return f"it was steered by hand ({', '.join(sorted(verbs))})"
    return None


def differences(
    spec: StudySpec, study: Study, trials: dict[int, Trial], outcomes: dict[int, Outcome]
) -> Iterator[Difference]:
    """What is proposed, and where trials end, otherwise than it is recorded; trials go by their numbers."""
    metric = spec.pruner.metric or spec.objective[0].metric
    lag = lag_of(spec)
    for number, trial in sorted(trials.items()):
        if lag is not None and any(each not in outcomes for each in trials if each <= number - lag):
            return  # the study is not finished, and this trial was not to be proposed yet
        proposed = study.ask(1)
        params = proposed[0].params if proposed else {}
        for name in {**trial.params, **params}:
            if not is_same(trial.params.get(name), params.get(name)):
                yield Difference(number, f"{name} as proposed", trial.params.get(name), params.get(name))
        if not proposed or params != trial.params:
            return
        yield from _verdict_differences(spec, study, trial, rows_of(trial, metric, spec))
        if number in outcomes:
            study.tell(outcomes[number])


def rows_of(trial: Trial, metric: str, spec: StudySpec) -> list[BoundaryRow]:
    """The metric that the pruner goes by, at each boundary that all replicates have reached."""
    rows: dict[int, list[float]] = {}
    for place, metrics in trial.reports.items():
        rows.setdefault(place.examples, []).append(metrics.get(metric, nan))
    return [(at, tuple(row)) for at, row in sorted(rows.items()) if len(row) == spec.trial.replicates]


def _verdict_differences(
    spec: StudySpec, study: Study, trial: Trial, rows: Sequence[BoundaryRow]
) -> Iterator[Difference]:
    for place, (examples, values) in enumerate(rows, start=1):
        study.report(trial.number, (examples, values))
        if spec.pruner.name == "none":
            continue
        ends = study.should_prune(trial.number, examples)
        is_last = place == len(rows)
        ended = is_last and trial.state == TrialState.PRUNED
        if is_last and not ended:
            return  # what has trained to its end, has failed or runs was not ended by a verdict
        if ends != ended:
            was, now = ("pruned", "continued") if ended else ("continued", "pruned")
            yield Difference(trial.number, "the verdict", was, now, examples=examples)
            return
