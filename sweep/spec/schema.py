"""What a study file may say: one frozen pydantic model a section, strict types, no unknown keys.

Only what one value must be on its own stands here; rules between values are in `sweep.spec.rules`. The text
under each key is what editors show and what docs/study.md says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from configfile.validation import broken
from configfile.yamlfile import Document
from sweep.spec.command.fields import CommandArguments, Pattern, Variable
from sweep.spec.command.template import shown
from sweep.spec.fields import (
    Amount,
    Bytes,
    Count,
    CountOrAuto,
    Name,
    Seconds,
    Section,
    TaskPath,
    Value,
    When,
    Whole,
    class_name,
    matching,
)
from sweep.spec.hyperparameters import as_scalar
from sweep.spec.notify import OneNotify
from sweep.vocabulary.turn import Trainable

_STORE_RULE = "must be a URL that fsspec knows, such as file:///Volumes/share/sweeps or s3://bucket/sweeps"
_STORAGE_RULE = "must be the URL of an Optuna storage, such as sqlite:///study.db"


class IntRange(Section):
    """An integer hyperparameter: both bounds are integers."""

    low: Whole
    """The lowest value, included."""
    high: Whole
    """The highest value, included."""
    log: bool = False
    """Sample on a log scale."""
    step: Count = 1
    """The distance between values; it divides `high - low`. With `log`, values are rounded to it."""
    when: When | None = None
    """Conditions, all needed: the name of another entry, and its value, values or {low, high}."""


class FloatRange(Section):
    """A hyperparameter that is a number: a bound has a decimal point or an exponent."""

    low: FiniteFloat
    """The lowest value, included."""
    high: FiniteFloat
    """The highest value, included."""
    log: bool = False
    """Sample on a log scale."""
    step: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """The distance between values; it divides `high - low`. With `log`, values are rounded to it."""
    when: When | None = None
    """Conditions, all needed: the name of another entry, and its value, values or {low, high}."""


class Choices(Section):
    """A hyperparameter that is one of the values listed."""

    choices: Annotated[tuple[Value, ...], Field(strict=False)]
    """Numbers, words, true, false or null."""
    when: When | None = None
    """Conditions, all needed: the name of another entry, and its value, values or {low, high}."""


Entry = IntRange | FloatRange | Choices


class MeanOfLast(Section):
    """The mean of the last reports."""

    mean_of_last: Count
    """How many reports; fewer where a trial has fewer."""


class Objective(Section):
    """A reported metric and its direction."""

    metric: Annotated[str, StringConstraints(min_length=1)]
    """A metric that the task reports, such as validation_accuracy."""
    direction: Literal["minimize", "maximize"]
    """`minimize` or `maximize`."""
    of: Literal["last", "best"] | MeanOfLast | None = None
    """The report that is a trial's value: `last`, `best` (so with `trial.patience`), `{mean_of_last: 3}`."""


class Extent(Section):
    """A length of training in exactly one unit."""

    epochs: Annotated[FiniteFloat, Field(gt=0, le=1e9)] | None = None
    """Passes over the training examples."""
    examples: Count | None = None
    """Training examples."""
    updates: Count | None = None
    """Optimizer steps."""

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if [self.epochs, self.examples, self.updates].count(None) != 2:
            raise broken("needs exactly one of epochs, examples and updates")
        return self


REPORT_EVERY = Extent(epochs=1)
"""How often a task reports where its study does not say."""


class Patience(Section):
    """When a trial that no longer gets better ends: as COMPLETE, its value that of its best report."""

    reports: Count = 5
    """After so many reports that were no better than the best before them."""
    min_delta: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    """By how much more than this a report must be better to count."""


def _as_scalars(values: object) -> object:
    if not isinstance(values, dict):
        return values
    return {name: as_scalar(name, each) for name, each in values.items()}


class Piece(Section):
    """A part of a trial with hyperparameters of its own."""

    until: Extent | None = None
    """Where it ends, a multiple of `report_every`; the last piece may last to the end."""
    values: Annotated[Mapping[str, Value], BeforeValidator(_as_scalars)] = {}
    """Hyperparameters that hold in it, instead of the trial's own."""
    key: Annotated[int, Field(ge=0)] | None = None
    """The number of the trial under whose key it draws; without it the trial's own."""


class Trial(Section):
    """How each trial trains and reports."""

    micro_batch_size: Count | None = None
    """Examples per step; a task needs it, here or in `space` or `fixed`."""
    length: Extent | None = None
    """How long a trial trains: `{epochs}`, `{examples}` or `{updates}`; or by `space` or `fixed`."""
    report_every: Extent = REPORT_EVERY
    """How often metrics are reported and the pruner judges; in the same units."""
    replicates: Count = 1
    """Runs of each trial with different random keys; the trial's value is their mean."""
    timeout_s: Seconds | None = Field(None, alias="timeout")
    """The longest a trial may train, such as `10m`; then it fails."""
    patience: Patience | None = None
    """When to end a trial that no longer gets better."""
    piecewise: Annotated[tuple[Piece, ...], Field(strict=False)] = ()
    """Hyperparameters that change on the way: a list of `{until, values}`; then the trial's own hold."""


SAMPLERS = ("tpe", "random", "qmc", "grid", "cmaes", "gp", "nsgaii", "nsgaiii", "pbt")
PRUNERS = (
    "none", "median", "percentile", "successive_halving", "hyperband", "threshold", "patient", "wilcoxon",
)  # fmt: skip


class Choice(Section):
    """A class by its name; all other keys are its arguments, checked where the class can be imported."""

    model_config = ConfigDict(extra="allow")

    name: str

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the class is built with, under its own names."""
        return self.model_extra or {}


class Sampler(Choice):
    """What proposes hyperparameters; further keys are the class's own arguments."""

    name: Annotated[str, class_name(SAMPLERS, hub=True)] = "tpe"
    """One of Optuna's samplers, `package.module:Class`, or one of OptunaHub's: `optunahub:NAME`."""
    repeat: bool = False
    """Try points again while others are left, in a space of finitely many points."""


class Pruner(Choice):
    """What ends trials early; further keys are the class's own arguments."""

    name: Annotated[str, class_name(PRUNERS)] = "none"
    """One of Optuna's pruners, or `package.module:Class`."""
    metric: str | None = None
    """The metric to judge by, with several objectives."""


class Bound(Section):
    """Limits that a trial must keep to be the best, both included; one may be left out."""

    min: Annotated[Amount, Field(allow_inf_nan=False)] | None = None
    """The least that is allowed: a number, a size such as `8 GB` or a duration such as `10m`."""
    max: Annotated[Amount, Field(allow_inf_nan=False)] | None = None
    """The most that is allowed."""

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise broken("needs min, max or both", "write {max: 8 GB}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise broken(f"min {self.min:g} is above max {self.max:g}")
        return self


_LOGGER_RULE = "must be the name of a logger, such as tensorboard or mlflow, or package.module:Class"
LoggerName = Annotated[str, matching(r"\w+(?:(?:\.\w+)*:\w+)?", _LOGGER_RULE)]


class LoggerChoice(Choice):
    """Where else trials are logged; further keys are the class's own arguments."""

    name: LoggerName
    """`tensorboard`, `mlflow`, `wandb`, `comet`, or `package.module:Class`."""


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


OneLogger = Annotated[LoggerChoice, BeforeValidator(_named, json_schema_input_type=LoggerName | LoggerChoice)]
"""A name alone where there are no arguments."""


_EXECUTOR_RULE = "must be the name of an executor, such as ray or inline, or package.module:Class"
ExecutorName = Annotated[str, matching(r"\w+(?:(?:\.\w+)*:\w+)?", _EXECUTOR_RULE)]


class ExecutorChoice(Choice):
    """How workers are reached; further keys are the class's own arguments."""

    name: ExecutorName = "ray"
    """`ray`, `inline`, or `package.module:Class`."""

    @model_serializer(mode="wrap")
    def _name_alone(self, plain: SerializerFunctionWrapHandler) -> Any:
        return plain(self) if self.arguments else self.name


OneExecutor = Annotated[
    ExecutorChoice, BeforeValidator(_named, json_schema_input_type=ExecutorName | ExecutorChoice)
]
"""A name alone where there are no arguments."""


class Terminator(Choice):
    """One of Optuna's rules for when further trials no longer pay off."""

    name: Literal["regret_bound", "emmr", "best_value_stagnation"]
    """Which rule; further keys are its own arguments."""
    min_n_trials: Count = 20
    """How many trials must end before the rule applies."""


class Stop(Section):
    """When to start no more trials before the budget is spent; any one of them is enough."""

    target: FiniteFloat | None = None
    """A value of the objective that is good enough."""
    patience: Count | None = None
    """Trials in a row without a new best."""
    terminator: Terminator | None = None
    """One of Optuna's rules for when further trials no longer pay off; `regret_bound` needs replicates."""


class Budget(Section):
    """When the study ends: totals over all its sessions."""

    trials: Count | None = None
    """The total number of trials; complete, pruned and failed ones count."""
    time_s: Seconds | None = Field(None, alias="time")
    """The total time, such as `2h`; running trials may finish."""

    @model_validator(mode="after")
    def _some_end(self) -> Self:
        if self.trials is None and self.time_s is None:
            raise broken("needs `trials`, `time` or both", "write budget: {trials: 32}")
        return self


class Failures(Section):
    """What becomes of trials that break: an exception, memory, a worker; not of those that diverge."""

    retry: Annotated[int, Field(ge=0)] = 2
    """How often a trial is tried again, from its last checkpoint, with no report in between."""
    stop_after: Count | None = 5
    """After so many failed trials in a row the study stops, to be resumed; `null`: never."""


class Checkpoints(Section):
    """Which checkpoints are kept, and how often they are written."""

    keep_best: Annotated[int, Field(ge=0)] = 3
    """How many of the best trials keep their final checkpoint."""
    keep_best_report: bool = False
    """Also keep the checkpoint of these trials' best report."""
    max_bytes: Bytes = 2_000_000_000
    """The most that kept checkpoints may take, such as `2 GB`."""
    every_s: Seconds = Field(60.0, alias="every")
    """How often a running trial is checkpointed, such as `60s`."""
    store: Annotated[str, matching(r"[A-Za-z][A-Za-z0-9+.-]*://.+", _STORE_RULE)] | None = None
    """Upload checkpoints of finished trials to this fsspec URL, such as `file:///Volumes/share/sweeps`."""


class Test(Section):
    """The best trials on the test part, at the end; a task has one, or not."""

    best: Annotated[int, Field(ge=0)] = 1
    """How many of the best trials are tested; those whose checkpoints are kept can be."""


class Worker(Section):
    """What one worker may use."""

    memory_bytes: Bytes | None = Field(None, alias="memory")
    """The most memory of one worker, such as `16 GB`; default: its share of the machine's."""


class Require(Section):
    """Which nodes of a cluster may be used: those that meet all of these."""

    tags: Annotated[tuple[Annotated[str, StringConstraints(min_length=1)], ...], Field(strict=False)] = ()
    """Tags that a node must have in the inventory, all of them."""
    min_memory_bytes: Bytes | None = Field(None, alias="min_memory")
    """The least total memory of a node, such as `32 GB`."""


class ClusterShare(Section):
    """How the study shares slots with others that run at the same time."""

    priority: int = 0
    """Studies of higher priority come first; each study has one slot before any has two."""
    weight: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    """Studies of one priority share by weight: one of weight 2 has twice the slots of one of 1."""
    max_slots: Count | None = None
    """The most slots that the study has at once."""
    give_up_within_s: Seconds = Field(30.0, alias="give_up_within")
    """How long a worker whose slot another study gets may take to save, such as `30s`."""


SourcePath = Annotated[str, StringConstraints(min_length=1)]


def _listed(value: object) -> object:
    """One path alone, several, or none."""
    return () if value is None else (value,) if isinstance(value, str) else value


def _alone(paths: tuple[str, ...]) -> str | list[str] | None:
    return paths[0] if len(paths) == 1 else list(paths) or None


Sources = Annotated[
    tuple[SourcePath, ...],
    Field(strict=False),
    BeforeValidator(_listed, json_schema_input_type=SourcePath | list[SourcePath]),
    PlainSerializer(_alone),
]


class Extends(Section):
    """Trials of another run to continue, in the order of `enqueue`."""

    run: Annotated[str, StringConstraints(min_length=1)]
    """Its run directory."""
    trials: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False, min_length=1)]
    """Their numbers there."""
    schedule: Literal["keep", "stretch"] = "keep"
    """Whether learning rate schedules end where they did, or stretch over the new length."""


class FixedOrder(Section):
    """Proposals and verdicts go by the trials' numbers, so that the study can be repeated."""

    lag: Count
    """Proposal n follows from how trials 0 to n minus this many ended; at most so many trials run at once."""


_ORDER_RULE = "must be free, fixed or {lag: 16}"


def _order(value: object) -> object:
    if not isinstance(value, dict | FixedOrder) and value not in ("free", "fixed"):
        raise broken(_ORDER_RULE)
    return FixedOrder.model_validate(value) if isinstance(value, dict) else value


Order = Annotated[
    Literal["free", "fixed"] | FixedOrder,
    BeforeValidator(_order, json_schema_input_type=Literal["free", "fixed"] | FixedOrder),
]


def trainable(task: str) -> Trainable:
    """What a study's `task` names: a class where the name begins with a capital letter, else a function."""
    name = task.rpartition(":")[2]
    return Trainable.TASK if name[:1].isupper() else Trainable.FUNCTION


class StudySpec(Section):
    """A study file that can be run: every default filled in, every rule of the file alone kept.

    Two are equal when they mean the same, wherever they were written.
    """

    name: Name
    """The folder under `runs/`."""
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0
    """The seed of training and of the sampler."""
    task: TaskPath | None = None
    """`file.py:Class` or `file.py:function`, a file beside this one or below, or `package.module:Class`."""
    command: CommandArguments | None = None
    """Instead of `task`: a program and its arguments, with hyperparameters in braces."""
    metrics: Mapping[str, Pattern] = {}
    """Of a command that prints no JSON: a regular expression for each metric, and for `examples`."""
    counts_from: Literal["start", "resume"] = "start"
    """Of a command: whether its count of examples continues, or begins again, where a trial resumes."""
    environment: Mapping[str, Variable] = {}
    """Of a command: environment variables, with hyperparameters in braces; `null` unsets one."""
    working_directory: Annotated[str, StringConstraints(min_length=1)] | None = None
    """Of a command: a folder, from this file's, to run in instead of the trial's own."""
    objective: tuple[Objective, ...]
    """What to optimize: `{metric, direction}`, or a list of them."""
    space: Mapping[str, Entry]
    """The hyperparameters to search, by name."""
    fixed: Mapping[str, Value] = {}
    """Hyperparameters with the same value in every trial."""
    earlier: Mapping[str, Value] = {}
    """Values of earlier trials, or of `warm_start`'s, for entries that their space did not have."""
    enqueue: tuple[Mapping[str, Value], ...] = ()
    """A list of points to try first; they count in the budget."""
    constraints: Mapping[str, Bound] = {}
    """Limits that the best trial must keep, by metric or ledger entry."""
    warm_start: Sources = ()
    """Runs and tables whose trials the sampler learns from: a path from this file's folder, or a list."""
    extends: Extends | None = None
    """Trials of another run to continue; `sweep extend` writes it."""
    trial: Trial = Trial.model_validate({})
    """How each trial trains and reports."""
    failures: Failures = Failures()
    """What becomes of trials that break."""
    diverged: Literal["worst", "pruned", "failed"] = "worst"
    """What the sampler is told of a trial whose loss is not finite."""
    sampler: Sampler = Sampler()
    """What proposes hyperparameters."""
    pruner: Pruner = Pruner()
    """What ends trials early."""
    budget: Budget
    """When the study ends."""
    stop: Stop = Stop()
    """When to stop before the budget is spent."""
    order: Order = "free"
    """`fixed`, or `{lag: 16}`: proposals and verdicts go by trials' numbers, not by what arrives first."""
    cluster: Annotated[str, StringConstraints(min_length=1)] = "local"
    """`local`, or the path of an inventory of Macs from this file's folder."""
    require: Require = Require.model_validate({})
    """Which of the cluster's nodes may be used."""
    cluster_share: ClusterShare | None = None
    """How slots are shared with other studies; on this machine none are without it."""
    executor: OneExecutor = ExecutorChoice()
    """`ray`; `inline`: in the command's own process, one step at a time; or `package.module:Class`."""
    lanes: CountOrAuto = "auto"
    """How many trials train together in one compiled step; `auto` measures the best number."""
    max_concurrent: CountOrAuto = "auto"
    """The most trials that run at once, over all workers."""
    storage: Annotated[str, matching(r"[a-z0-9+]+://.*", _STORAGE_RULE)] | None = None
    """The URL of an Optuna storage to use instead of the run directory's, such as sqlite:///study.db."""
    worker: Worker = Worker.model_validate({})
    """What one worker may use."""
    checkpoints: Checkpoints = Checkpoints.model_validate({})
    """Which checkpoints are kept, and how often they are written."""
    test: Test = Test()
    """What is tested on the part of the data that no trial has seen."""
    loggers: tuple[OneLogger, ...] = ()
    """Where else trials are logged: a list of `tensorboard`, `mlflow`, `wandb`, `comet` or `{name, ...}`."""
    notify: tuple[OneNotify, ...] = Field((), exclude=True)  # an address belongs to a person: no copy has it
    """Whom to tell how it goes: a list of `macos`, `{webhook: URL}`, `{ntfy: TOPIC}`, `{command: [...]}`."""

    _document: Document = PrivateAttr()
    _folder: Path | None = PrivateAttr(None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StudySpec) and self.__dict__ == other.__dict__

    @property
    def document(self) -> Document:
        """The file this was read from, for lines in messages."""
        return self._document

    @property
    def trainable(self) -> Trainable:
        """What a trial is: lanes of a class, calls of a function, processes of a command."""
        return Trainable.COMMAND if self.task is None else trainable(self.task)

    @property
    def target(self) -> str:
        """What trains, in one line: the task, or the command."""
        return self.task if self.task is not None else shown(self.command or ())

    @property
    def folder(self) -> Path:
        """Where the study file lies; the task's file is looked for from here."""
        return self._folder if self._folder is not None else Path(self._document.file).parent

    def in_folder(self, folder: Path) -> Self:
        """The same study, its task and other files looked for from another folder."""
        moved = self.model_copy()
        moved._folder = folder
        return moved
