"""What the task alone can tell of a study file: its metrics, its static names, what it reads."""

from __future__ import annotations

from collections.abc import Iterator

from configfile import nearest
from configfile.yamlfile import Path as KeyPath
from sweep.errors import Problem, SpecError
from sweep.spec import piecewise
from sweep.spec.hyperparameters import CORE, FACTORS, LARGEST_EXACT, LENGTH, WORDS, factors_of, is_carried
from sweep.spec.population import rules as population
from sweep.spec.resolve import resolve_length, with_fixed
from sweep.spec.schema import Choices, Entry, StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import LEDGER, Scalar
from sweep.vocabulary.turn import Trainable


def validate_against(spec: StudySpec, description: Description) -> list[Problem]:
    """The problems that only the task can tell, in the order of the file."""
    if spec.trainable is not Trainable.TASK:  # what others read and report shows when they run
        return []
    problems = [
        *_metric_problems(spec, description),
        *_static_problems(spec, description),
        *_unread_problems(spec, description),
        *_uncarried_problems(spec, description),
        *_length_problems(spec, description),
        *_constraint_problems(spec, description),
        *population.problems_with_task(spec, description),
        *piecewise.problems_with_task(spec, description),
    ]
    return sorted(problems, key=lambda problem: problem.line or 0)


def _metric_problems(spec: StudySpec, description: Description) -> Iterator[Problem]:
    single = isinstance(spec.document.at(("objective",)), dict)
    for index, objective in enumerate(spec.objective):
        if objective.metric not in description.metrics:
            path: KeyPath = ("objective", "metric") if single else ("objective", index, "metric")
            remedy = description.on_request.get(objective.metric) or nearest.remedy(
                objective.metric, description.metrics
            )
            yield spec.document.problem(path, f"the task does not report `{objective.metric}`", "", remedy)


def _constraint_problems(spec: StudySpec, description: Description) -> Iterator[Problem]:
    known = (*description.metrics, *(name for name in LEDGER if name != "cpu_s"))
    for name in spec.constraints:
        if name not in known:
            what = f"the task does not report `{name}`, nor does the ledger hold it"
            yield spec.document.problem(("constraints", name), what, "", nearest.remedy(name, known))


def _static_problems(spec: StudySpec, description: Description) -> Iterator[Problem]:
    for name in description.static:
        if name not in {*CORE, *description.filled} and name not in spec.space.keys() | spec.fixed.keys():
            what = "is missing: the task builds its model from it"
            remedy = f"add {name} to `space` or `fixed`"
            yield spec.document.problem(("fixed", name), what, "", remedy)
    static = {*WORDS, *description.static}
    for path, name, value in _values(spec):
        null_is_off = name == "gradient_clip" and value is None
        if name not in static and isinstance(value, str | None) and not null_is_off:
            what = "must be a number, as it is not static"
            remedy = f'to build the model from it, write static = ("{name}",) in the task'
            yield spec.document.problem(path, what, remedy=remedy)


def _unread_problems(spec: StudySpec, description: Description) -> Iterator[Problem]:
    """Names that nothing reads, misspelt ones most likely; conditional ones may be read in other trials."""
    factors = [found for _, name, value in _values(spec) if name in FACTORS and (found := factors_of(value))]
    named = {factor for found in factors for factor in found.values() if isinstance(factor, str)}
    read = {*CORE, *LENGTH, *description.static, *description.dynamic, *named}
    always = [("space", name) for name, entry in spec.space.items() if not entry.when]
    for section, name in [*always, *(("fixed", name) for name in spec.fixed)]:
        if name not in read:
            what = f"`{name}` is read neither by the training core nor by the task"
            yield spec.document.problem((section, name), what, "", nearest.remedy(name, sorted(read)))


def _uncarried_problems(spec: StudySpec, description: Description) -> Iterator[Problem]:
    """Dynamic values that a program would see as other ones: it takes them in float32."""
    static = {*description.static, *LENGTH}
    for path, name, value in [*_values(spec), *_ends(spec)]:
        is_end = path[-1] in ("low", "high")
        if name in static or not isinstance(value, int | float):
            continue
        exact = abs(value) <= LARGEST_EXACT if is_end and isinstance(value, int) else is_carried(value)
        if not exact:
            limit = f", exact up to {LARGEST_EXACT}" if isinstance(value, int) else ""
            what = f"the task would see another number: dynamic hyperparameters are float32{limit}"
            remedy = f'to keep it exact, write static = ("{name}",) in the task'
            yield spec.document.problem(path, what, None, remedy)


def _ends(spec: StudySpec) -> Iterator[tuple[KeyPath, str, Scalar]]:
    """Both ends of every range."""
    for name, entry in spec.space.items():
        if not isinstance(entry, Choices):
            yield ("space", name, "low"), name, entry.low
            yield ("space", name, "high"), name, entry.high


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
    names = ("accumulation_steps", "micro_batch_size", *LENGTH)
    least = {name: min(_numbers(spec.space[name])) for name in names if name in spec.space}
    try:
        resolve_length(spec, description.train_examples, with_fixed(spec, least))
    except SpecError as error:
        yield from error.problems


def _numbers(entry: Entry) -> list[int | float]:
    if isinstance(entry, Choices):
        return [choice for choice in entry.choices if isinstance(choice, int | float)]
    return [entry.low, entry.high]


def missing_files(spec: StudySpec) -> list[Problem]:
    """The task's and the cluster's files that are not where the study file says."""
    files: dict[str, str] = {}
    source = (spec.task or "").rpartition(":")[0]
    if source.endswith(".py"):
        files["task"] = source
    if spec.cluster != "local":
        files["cluster"] = spec.cluster
    remedy = "give its path from the study file's folder"
    return [
        spec.document.problem((key,), f"there is no file {spec.folder / file}", "", remedy)
        for key, file in files.items()
        if not (spec.folder / file).is_file()
    ]
