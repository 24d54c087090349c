"""What follows from a StudySpec: a trial's hyperparameters and length, and the text with every default.

resolve_length(spec, 1437, hyperparameters)   # a trial's length in examples
resolved_text(spec)                           # study.yaml with every default written out
whole_text(spec)                              # the same, and whom to tell: for the machine that drives it
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from configfile import yamlfile
from sweep.errors import Problem, SpecError
from sweep.spec.hyperparameters import LENGTH
from sweep.spec.schema import Extent, MeanOfLast, Objective, StudySpec
from sweep.vocabulary.trial import UNBOUNDED, Length, Scalar
from sweep.vocabulary.turn import Trainable


def with_fixed(spec: StudySpec, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """A trial's hyperparameters: what was sampled, what is fixed, and the micro-batch size."""
    hyperparameters = {**spec.fixed, **params}
    if spec.trial.micro_batch_size is not None:
        hyperparameters["micro_batch_size"] = spec.trial.micro_batch_size
    return hyperparameters


def resolve_length(spec: StudySpec, train_examples: int, hyperparameters: Mapping[str, Scalar]) -> Length:
    """A trial's length and report interval in examples; hyperparameters as `with_fixed` gives them.

    Raises SpecError where the trial would end before its first report.
    """
    if spec.trainable is not Trainable.TASK:
        return _open_length(spec)
    length = Length(
        examples=extent_examples(extent_of(spec, hyperparameters), train_examples, hyperparameters),
        report_every=extent_examples(spec.trial.report_every, train_examples, hyperparameters),
    )
    if length.report_every > length.examples:
        raise SpecError([_report_problem(spec, length)])
    return length


def extent_of(spec: StudySpec, hyperparameters: Mapping[str, Scalar]) -> Extent:
    """How long a trial with these hyperparameters trains: by `trial.length`, or by one of them."""
    if spec.trial.length is not None:
        return spec.trial.length
    return Extent(**{name: hyperparameters[name] for name in LENGTH if name in hyperparameters})  # type: ignore[arg-type]


def _open_length(spec: StudySpec) -> Length:
    length = spec.trial.length.examples if spec.trial.length is not None else None
    return Length(length or UNBOUNDED, spec.trial.report_every.examples or 1, open=True)


def extent_examples(extent: Extent, train_examples: int, hyperparameters: Mapping[str, Scalar]) -> int:
    """A length in examples."""
    if extent.epochs is not None:
        return max(1, round(extent.epochs * train_examples))
    if extent.examples is not None:
        return extent.examples
    assert extent.updates is not None, "Extent admits exactly one unit"
    micro_batch = hyperparameters["micro_batch_size"]
    steps = hyperparameters.get("accumulation_steps", 1)
    assert isinstance(micro_batch, int), "sweep.spec.hyperparameters admits integers only"
    assert isinstance(steps, int), "sweep.spec.hyperparameters admits integers only"
    return extent.updates * micro_batch * steps


def _report_problem(spec: StudySpec, length: Length) -> Problem:
    what = f"is longer than the trial: {length.report_every} of {length.examples} examples"
    remedy = "report more often, or train for longer"
    return spec.document.problem(("trial", "report_every"), what, "", remedy)


def value_of(spec: StudySpec, objective: Objective) -> Literal["last", "best"] | int:
    """Which of a trial's reports its value is: the last, the best, or the mean of so many last ones."""
    if isinstance(objective.of, MeanOfLast):
        return objective.of.mean_of_last
    return objective.of or ("last" if spec.trial.patience is None else "best")


def keeps_best_report(spec: StudySpec) -> bool:
    """Whether the checkpoint of a trial's best report is kept: asked for, or the value is from there."""
    best = value_of(spec, spec.objective[0]) == "best" or spec.trial.patience is not None
    return spec.checkpoints.keep_best > 0 and (best or spec.checkpoints.keep_best_report)


def with_budget_trials(spec: StudySpec, trials: int) -> StudySpec:
    """The same study with another total of trials (at least 1)."""
    return spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": trials})})


def with_cluster(spec: StudySpec, cluster: str) -> StudySpec:
    """The same study on `local`, or on the cluster of an inventory, its path from this process's folder."""
    named = cluster if cluster == "local" else str(Path(cluster).resolve())
    return spec.model_copy(update={"cluster": named})


def resolved(spec: StudySpec) -> dict[str, Any]:
    """The study as plain values, every default written out; its YAML text parses to an equal spec.

    `notify` is left out: it holds addresses of a person, which may be secrets.
    """
    values: dict[str, Any] = _without_unset(spec.model_dump(mode="json", by_alias=True))
    if len(spec.objective) == 1:
        values["objective"] = values["objective"][0]
    return values


def _without_unset(value: Any, key: str = "") -> Any:
    """Leave out keys that hold null, except where null was chosen."""
    if isinstance(value, dict):
        chosen = key in ("fixed", "earlier", "enqueue", "when", "sampler", "failures", "values")
        kept = {name: item for name, item in value.items() if chosen or item is not None}
        return {name: _without_unset(item, name) for name, item in kept.items()}
    return [_without_unset(item, key) for item in value] if isinstance(value, list) else value


def resolved_text(spec: StudySpec) -> str:
    """The text of the run directory's study.yaml."""
    return yamlfile.dump(resolved(spec))


def whole_text(spec: StudySpec) -> str:
    """The study with whom to tell, to be sent to the machine that drives it and kept nowhere."""
    notify = [each.model_dump(mode="json", by_alias=True) for each in spec.notify]
    return yamlfile.dump({**resolved(spec), **({"notify": _without_unset(notify)} if notify else {})})
