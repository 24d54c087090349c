"""The keys of the study file that may be set by hand, and what holds where file and setting differ.

A setting holds until the study file is edited: what was written last is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from configfile import nearest, yamlfile
from configfile.problems import ConfigError
from configfile.yamlfile import value_text
from runlog.steered import Setting
from sweep.driver.steering.refusal import Refusal
from sweep.driver.steering.space import misfit
from sweep.errors import SpecError
from sweep.rundir.rundir import RunDir
from sweep.spec.edited.differences import LOCKED
from sweep.spec.parse import from_document
from sweep.spec.resolve import resolved
from sweep.spec.schema import StudySpec
from sweep.vocabulary.turn import Trainable

SETTABLE = (
    "budget.trials", "budget.time", "max_concurrent", "lanes", "stop.target", "stop.patience",
    "stop.terminator", "checkpoints.keep_best", "checkpoints.keep_best_report", "checkpoints.max_bytes",
    "checkpoints.every", "failures.retry", "failures.stop_after", "cluster_share.priority",
    "cluster_share.weight", "cluster_share.max_slots",
)  # fmt: skip

OF_WORKERS = (
    "max_concurrent", "lanes", "checkpoints.every", "failures.retry", "failures.stop_after",
    "cluster_share.priority", "cluster_share.weight", "cluster_share.max_slots",
)  # fmt: skip
"""Those that mean nothing where a Python program trains the trials."""

NULL_IS_A_VALUE = ("failures.stop_after",)

OPTION = "--trials"
"""What gives `budget.trials` for one session, in place of the study file."""

Values = Mapping[str, Any]
"""By key path, such as `budget.trials`."""


def read_values(texts: Mapping[str, str]) -> dict[str, Any]:
    """Values as the study file has them: `200` is a number, `2h` a word, `null` unsets. Raises Refusal."""
    values: dict[str, Any] = {}
    for key, text in texts.items():
        try:
            values[key] = yamlfile.parse(f"value: {text}\n", key).at(("value",))
        except ConfigError as error:
            raise Refusal(f"{key}: cannot be read as YAML: {text}. Write {key}=VALUE") from error
    return values


def check_key(key: str, spec: StudySpec) -> None:
    """Raise Refusal where a key may not be set, with the reason."""
    if key in SETTABLE:
        if key == "lanes" and spec.trainable is not Trainable.TASK:
            raise Refusal(f"lanes: a {spec.trainable} trains one trial at a time in each worker")
        return
    section = key.partition(".")[0]
    if section in LOCKED and section in StudySpec.model_fields:
        raise Refusal(
            f"{key} may not change: trials so far depend on it. Start another study with `warm_start`"
        )
    if section == "enqueue":
        raise Refusal("enqueue: a point is added with python -m sweep enqueue RUN NAME=VALUE")
    if any(each.startswith(f"{key}.") for each in SETTABLE):
        names = ", ".join(each for each in SETTABLE if each.startswith(f"{key}."))
        raise Refusal(f"{key} has several keys. Set one of {names}")
    if section in StudySpec.model_fields and not _is_misspelt(key):
        raise Refusal(
            f"{key} cannot be set by hand. Stop the study, edit its file, and run it again; "
            f"what can be set is {', '.join(SETTABLE)}"
        )
    raise Refusal(f"there is no key {key} to set: {nearest.remedy(key, SETTABLE)}")


def _is_misspelt(key: str) -> bool:
    """Whether a section has keys that may be set, and none of this name."""
    section, _, name = key.partition(".")
    own = [each for each in SETTABLE if each.startswith(f"{section}.")]
    fields = getattr(StudySpec.model_fields[section].annotation, "model_fields", {})
    return bool(own) and name not in {field.alias or each for each, field in fields.items()}


def with_values(spec: StudySpec, values: Values) -> StudySpec:
    """The study with other values, checked as its file is. Raises Refusal."""
    plain = resolved(spec)
    for key, value in values.items():
        _put(plain, key.split("."), value, keep_null=key in NULL_IS_A_VALUE)
    try:
        read = from_document(yamlfile.document(plain, "set"))
    except (SpecError, ConfigError) as error:
        raise Refusal("; ".join(_text(each) for each in error.problems)) from error
    sections = {key.partition(".")[0] for key in values}
    return spec.model_copy(update={each: getattr(read, each) for each in sections})


def value_at(spec: StudySpec, key: str) -> Any:
    """What a study has for a key, as plain values; None where it has nothing."""
    found: Any = resolved(spec)
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def in_effect(spec: StudySpec, run: RunDir, say: Callable[[str], None]) -> StudySpec:
    """The study as it is to run: its file, with what was set by hand and not edited in the file since.

    What no longer holds is withdrawn in the log: settings that the file has overtaken or says itself, points
    to try that are not in its space. Raises SpecError where settings and file do not go together.
    """
    steered = run.history.study.steered
    overtaken, held = [], {}
    for key, setting in steered.settings.items():
        given = value_at(spec, key)
        if given == setting.value:
            overtaken.append(key)  # the file says it: its next edit holds, whatever it says
        elif given == setting.file:
            held[key] = setting.value
            say(_held(spec, run, key, setting))
        else:
            overtaken.append(key)
            say(
                f"{key}: {_shown(given)}, from {_source(spec, key)}. It was set to {_shown(setting.value)} "
                f"by hand on {_when(setting)} in place of {_shown(setting.file)}; what was written last holds"
            )
    try:
        spec = with_values(spec, held) if held else spec
    except Refusal as refusal:
        problem = spec.document.problem((), f"does not go with what was set by hand: {refusal}", "")
        raise SpecError([problem]) from refusal
    lost = {id: text for id, point in steered.points.items() if (text := misfit(spec, point)) is not None}
    for text in lost.values():
        say(f"a point that was to be tried is not any more: {text}")
    if overtaken or lost:
        run.record_known("withdrawn", settings=overtaken, points=list(lost))
    return spec


def as_set(spec: StudySpec, run: RunDir) -> StudySpec:
    """The study that began as `spec`, with what was set by hand while it ran."""
    settings = run.history.study.steered.settings
    return with_values(spec, {key: setting.value for key, setting in settings.items()}) if settings else spec


def _held(spec: StudySpec, run: RunDir, key: str, setting: Setting) -> str:
    source = _source(spec, key)
    held = (
        f"{key}: {_shown(setting.value)}, as it was set by hand on {_when(setting)}; {source} has "
        f"{_shown(setting.file)}. "
    )
    held += f"Pass {source} {_shown(setting.value)}" if source == OPTION else "Write it there, too"
    if key == "budget.trials" and setting.file is not None and setting.file < run.history.used:
        return held  # a budget goes down no further than what has ended
    return f"{held}, or undo it: python -m sweep set {run.path} {key}={_shown(setting.file)}"


def _source(spec: StudySpec, key: str) -> str:
    """Where the value comes from that this session was started with."""
    is_option = key == "budget.trials" and spec.document.at(("budget", "trials")) != spec.budget.trials
    return OPTION if is_option else "the study file"


def _when(setting: Setting) -> str:
    return datetime.fromtimestamp(setting.time).strftime("%Y-%m-%d %H:%M")


def _shown(value: Any) -> str:
    return value_text(value).strip("`")


def _put(values: Any, path: list[str], value: Any, *, keep_null: bool) -> None:
    for part in path[:-1]:
        values = values.setdefault(part, {})
    if value is None and not keep_null:
        values.pop(path[-1], None)
    else:
        values[path[-1]] = value


def _text(problem: Any) -> str:
    """A problem without the place that it has in no file."""
    text = str(problem)
    return text.removeprefix(f"{problem.file}: ")
