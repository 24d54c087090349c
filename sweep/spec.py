"""study.yaml -> StudySpec, and what can be said of one; pure: no Optuna, no MLX, no Ray.

spec = load("study.yaml")               # or SpecError, with every problem in the file
validate_against(spec, description)     # what only the task can tell
resolve_length(spec, 1437, values)      # a trial's length in examples
resolved_text(spec)                     # study.yaml with every default written out
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from configfile import nearest, yamlfile
from configfile.yamlfile import Path as KeyPath
from sweep.description import Description
from sweep.errors import Problem, SpecError
from sweep.hyperparameters import CORE, WORDS
from sweep.schema import Choices, Entry, Extent, StudySpec
from sweep.studyfile import load, parse
from sweep.trial import LEDGER, Length, Scalar

__all__ = [
    "Difference",
    "StudySpec",
    "differences",
    "hyperparameters",
    "load",
    "missing_files",
    "parse",
    "resolve_length",
    "resolved",
    "resolved_text",
    "validate_against",
    "with_budget_trials",
    "with_cluster",
]

LOCKED = (
    "seed", "task", "objective", "space", "fixed", "enqueue", "constraints", "warm_start", "extends", "trial",
    "sampler", "pruner",
)  # fmt: skip
"""What may not change when a study goes on; all else may."""


class Difference(NamedTuple):
    """A key that may not change on resume, and did; values as messages show them, None where none stood."""

    key: str
    old: str | None
    new: str | None


def hyperparameters(spec: StudySpec, suggested: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """All of a trial's hyperparameters: what is fixed, what was suggested, and the micro-batch size."""
    values = {**spec.fixed, **suggested}
    if spec.trial.micro_batch_size is not None:
        values["micro_batch_size"] = spec.trial.micro_batch_size
    return values


def resolve_length(spec: StudySpec, train_examples: int, values: Mapping[str, Scalar]) -> Length:
    """A trial's length and report interval in examples; `values` as `hyperparameters` gives them.

    Raises SpecError where the trial would end before its first report.
    """
    length = Length(
        examples=_examples(spec.trial.length, train_examples, values),
        report_every=_examples(spec.trial.report_every, train_examples, values),
    )
    if length.report_every > length.examples:
        raise SpecError([_report_problem(spec, length)])
    return length


def _examples(extent: Extent, train_examples: int, values: Mapping[str, Scalar]) -> int:
    if extent.epochs is not None:
        return max(1, round(extent.epochs * train_examples))
    if extent.examples is not None:
        return extent.examples
    assert extent.updates is not None, "Extent admits exactly one unit"
    micro_batch, steps = values["micro_batch_size"], values.get("accumulation_steps", 1)
    assert isinstance(micro_batch, int), "sweep.hyperparameters admits integers only"
    assert isinstance(steps, int), "sweep.hyperparameters admits integers only"
    return extent.updates * micro_batch * steps


def _report_problem(spec: StudySpec, length: Length) -> Problem:
    found = f"{length.report_every} examples of {length.examples}"
    rule, remedy = "must not be longer than `trial.length`", "report more often, or train for longer"
    return spec.document.problem(("trial", "report_every"), rule, found, remedy)


def validate_against(spec: StudySpec, description: Description) -> list[Problem]:
    """The problems that only the task can tell, in the order of the file."""
    problems = [
        *_metric_problems(spec, description),
        *_static_problems(spec, description),
        *_unread_problems(spec, description),
        *_length_problems(spec, description),
        *_constraint_problems(spec, description),
    ]
    return sorted(problems, key=lambda problem: problem.line or 0)


def _metric_problems(spec: StudySpec, description: Description) -> Iterator[Problem]:
    single = isinstance(spec.document.at(("objective",)), dict)
    for index, objective in enumerate(spec.objective):
        if objective.metric not in description.metrics:
            path: KeyPath = ("objective", "metric") if single else ("objective", index, "metric")
            remedy = nearest.remedy(objective.metric, description.metrics)
            yield spec.document.problem(path, "must be a metric that the task reports", remedy=remedy)


def _constraint_problems(spec: StudySpec, description: Description) -> Iterator[Problem]:
    known = (*description.metrics, *LEDGER)
    for name in spec.constraints:
        if name not in known:
            rule, remedy = (
                "must be a metric that the task reports or a ledger entry",
                nearest.remedy(name, known),
            )
            yield spec.document.problem(("constraints", name), rule, yamlfile.value_text(name), remedy)


def _static_problems(spec: StudySpec, description: Description) -> Iterator[Problem]:
    for name in description.static:
        if name not in CORE and name not in spec.space.keys() | spec.fixed.keys():
            rule = "must be given, the task's model is built from it"
            remedy = f"add {name} to `space` or `fixed`"
            yield spec.document.problem(("fixed", name), rule, "none", remedy)
    static = {*WORDS, *description.static}
    for path, name, value in _values(spec):
        null_is_off = name == "gradient_clip" and value is None
        if name not in static and isinstance(value, str | None) and not null_is_off:
            rule = "must be a number, as it is not static"
            remedy = f'if the task is built from it, add it there: static = ("{name}",)'
            yield spec.document.problem(path, rule, remedy=remedy)


def _unread_problems(spec: StudySpec, description: Description) -> Iterator[Problem]:
    """Names that nothing reads, misspelt ones most likely; conditional ones may be read in other trials."""
    read = {*CORE, *description.static, *description.dynamic}
    always = [("space", name) for name, entry in spec.space.items() if not entry.when]
    for section, name in [*always, *(("fixed", name) for name in spec.fixed)]:
        if name not in read:
            rule = "must be known to the training core or read by the task as `hp.name`"
            remedy = nearest.remedy(name, sorted(read))
            yield spec.document.problem((section, name), rule, yamlfile.value_text(name), remedy)


def _values(spec: StudySpec) -> Iterator[tuple[KeyPath, str, Scalar]]:
    """Every value that the file names outright, where it stands and of what."""
    for name, value in spec.fixed.items():
        yield ("fixed", name), name, value
    for name, entry in spec.space.items():
        if isinstance(entry, Choices):
            for index, choice in enumerate(entry.choices):
                yield ("space", name, "choices", index), name, choice


def _length_problems(spec: StudySpec, description: Description) -> Iterator[Problem]:
    """Whether the shortest trial there can be reports at least once."""
    names = ("accumulation_steps", "micro_batch_size")
    least = {name: min(_numbers(spec.space[name])) for name in names if name in spec.space}
    try:
        resolve_length(spec, description.train_examples, hyperparameters(spec, least))
    except SpecError as error:
        yield from error.problems


def _numbers(entry: Entry) -> list[int | float]:
    if isinstance(entry, Choices):
        return [choice for choice in entry.choices if isinstance(choice, int | float)]
    return [entry.low, entry.high]


def missing_files(spec: StudySpec) -> list[Problem]:
    """The task's and the cluster's files that are not where the study file says."""
    files: dict[str, str] = {}
    source = spec.task.rpartition(":")[0]
    if source.endswith(".py"):
        files["task"] = source
    if spec.cluster != "local":
        files["cluster"] = spec.cluster
    remedy = "give its path from the study file's folder"
    return [
        spec.document.problem((key,), "must name a file that is there", str(spec.folder / file), remedy)
        for key, file in files.items()
        if not (spec.folder / file).is_file()
    ]


def with_budget_trials(spec: StudySpec, trials: int) -> StudySpec:
    """The same study with another total of trials (at least 1)."""
    return spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": trials})})


def with_cluster(spec: StudySpec, cluster: str) -> StudySpec:
    """The same study on `local`, or on the cluster of an inventory, its path from this process's folder."""
    named = cluster if cluster == "local" else str(Path(cluster).resolve())
    return spec.model_copy(update={"cluster": named})


def resolved(spec: StudySpec) -> dict[str, Any]:
    """The study as plain values, every default written out; its YAML text parses to an equal spec."""
    values: dict[str, Any] = _without_unset(spec.model_dump(mode="json", by_alias=True))
    if len(spec.objective) == 1:
        values["objective"] = values["objective"][0]
    return values


def _without_unset(value: Any, key: str = "") -> Any:
    """Leaves out keys that hold null, except where null is a value that somebody chose."""
    if isinstance(value, dict):
        chosen = key in ("fixed", "enqueue", "when", "sampler")
        kept = {name: item for name, item in value.items() if chosen or item is not None}
        return {name: _without_unset(item, name) for name, item in kept.items()}
    return [_without_unset(item, key) for item in value] if isinstance(value, list) else value


def resolved_text(spec: StudySpec) -> str:
    """The text of the run directory's study.yaml."""
    return yamlfile.dump(resolved(spec))


def differences(old: StudySpec, new: StudySpec, keys: Sequence[str] = LOCKED) -> list[Difference]:
    """The keys that may not change when `old` goes on as `new`, and do; empty when it may go on."""
    before, after = _leaves(resolved(old), keys), _leaves(resolved(new), keys)
    changed = (key for key in before | after if repr(before.get(key, ...)) != repr(after.get(key, ...)))
    return [Difference(key, *(_leaf_text(leaves, key) for leaves in (before, after))) for key in changed]


def _leaf_text(leaves: Mapping[str, Scalar], key: str) -> str | None:
    return yamlfile.value_text(leaves[key]) if key in leaves else None


def _leaves(values: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Scalar]:
    """Key path -> the value there; to be compared as text, since Python finds 1, 1.0 and true equal."""
    leaves: dict[str, Scalar] = {}

    def walk(path: KeyPath, value: Any) -> None:
        if isinstance(value, dict | list):
            for part, item in value.items() if isinstance(value, dict) else enumerate(value):
                walk((*path, part), item)
        else:
            leaves[yamlfile.key_text(path) or ""] = value

    for key in keys:
        walk((key,), values.get(key, {}))
    return leaves
