"""One run directory: its tables, each read when it is first asked for, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import pandas as pd

from analysis import frames, provenance
from analysis.errors import RunError, warn
from analysis.studyfile import StudyFile, read_study_file
from runlog import layout, ranking
from runlog.final import Final
from runlog.reader import Damage, UnreadableLogError, read_batches, whole_bytes
from runlog.records import FIELDS, Record
from runlog.study import StudyState
from runlog.tables import DEFAULTS, KEY, read_metrics

_Result = TypeVar("_Result")
_KINDS = tuple(kind for kind in FIELDS if kind != "report")


class Run:
    """One study's tables; load again to see what came since."""

    def __init__(self, path: Path, *, has_log: bool = True) -> None:
        """Use `load`. Without a log that can be read, the Parquet files are all there is."""
        self.path = path
        self._has_log = has_log
        self._importance: dict[str | None, pd.DataFrame] = {}

    def __repr__(self) -> str:
        return f"analysis.load({str(self.path)!r})"

    @property
    def name(self) -> str:
        """The study's name: its folder's."""
        return self.path.resolve().name

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial, RUNNING ones too, in Optuna's column names.

        `number, value` (several objectives: `values_<metric>`), `datetime_start, datetime_complete`
        (aware, UTC), `duration` (timedelta), `params_<name>` (category where the study file lists choices;
        missing where inactive), `state, reason`, and the ledger as `ledger_<name>`, times in seconds.
        """
        if self._has_log:
            return frames.trials(self.study)
        return self._reading(lambda: frames.stored_trials(self.path, self.study_file))

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row per report, no (trial, replicate, examples) twice, in the order of the log.

        With `order: fixed` they are in the order of trials, replicates and examples.
        `trial, replicate, examples, epoch, updates, attempt, width, lane, host, time` (aware, UTC),
        `tokens_per_s` of a task of tokens, and a float column per metric.
        """
        table = self._reading(self._read_metrics)
        frame: pd.DataFrame = table.to_pandas()
        unused = [name for name in DEFAULTS if frame[name].isna().all()]
        rows = frames.first_of_each(frame.drop(columns=unused), KEY)
        return rows.sort_values(list(KEY), ignore_index=True) if self._is_in_order else rows

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """One row per trial: where its time went, as timedeltas, and what it took.

        `number, state, queue, compile, train, evaluate, checkpoint, idle, lost`, then `examples`,
        `examples_per_s` of training, `traces, peak_memory_bytes` and what else it holds. `cpu` is that
        of a command.
        """
        return frames.ledger(self.trials)

    @cached_property
    def checkpoints(self) -> pd.DataFrame:
        """One row per kept checkpoint: `trial, replicate, examples, path, bytes, sha256, final, value, time`.

        `path` is absolute, or a URL where the study has a store; `value` the objective that was reported
        there; `time` aware in UTC.
        """
        return frames.checkpoints(self.path, self.records)

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row per event that is no report, in the order of the log.

        `time` (aware, UTC), `session, event` (category), `trial, replicate, examples, slot, host, level`
        and `text`: a reason, a message, a path or a chip.
        """
        return frames.events(self.records)

    @cached_property
    def lineage(self) -> pd.DataFrame:
        """One row per change of a population's member: `trial, examples, from` and its hyperparameters.

        `from` is the trial that it copied, missing where it kept its own state. `before_<name>` and
        `after_<name>` are what the study varies. Empty where the study has no population.
        """
        return frames.lineage(self.study, self.parameters)

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """One row per session of the command: `session, opened, closed, reason, host, pid` and its ledger.

        The ledger's entries are timedeltas: `wall, starting, driver_<what>` and, summed over slots,
        `slots_<what>`; missing where the session was killed or runs still.
        """
        return frames.sessions(self.records)

    @cached_property
    def objectives(self) -> list[tuple[str, str]]:
        """(metric, direction) pairs of the study, directions as Optuna spells them."""
        return list(self.study.objectives) or self.study_file.objectives

    @property
    def choices(self) -> dict[str, list[Any]]:
        """The values that categorical hyperparameters may take, in the study file's order."""
        return dict(self.study.choices) or self.study_file.choices

    @cached_property
    def study_file(self) -> StudyFile:
        """The study as it was resolved; empty, with a warning, where it cannot be read."""
        return read_study_file(self.path / layout.STUDY, self.study.files)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, chips and hosts as recorded; empty, with a warning, where it cannot be read."""
        return provenance.read(self.path / layout.PROVENANCE, self.study.files)

    def best(self, n: int = 1) -> pd.DataFrame:
        """The rows of `trials` of the best COMPLETE trials that keep the constraints, best first."""
        return frames.rows(self.trials, ranking.best(self._candidates(), self._directions)[:n])

    def pareto(self) -> pd.DataFrame:
        """The rows of `trials` that no other COMPLETE trial dominates; with one objective, the best."""
        return frames.rows(self.trials, ranking.front(self._candidates(), self._directions))

    def curves(self, metric: str | None = None) -> pd.DataFrame:
        """A metric over training: a row per boundary in examples, a column per trial, mean over replicates.

        Without a name, the first objective. Raises RunError where no report holds the metric.
        """
        name = self.metric_column(metric)
        wide = self.metrics.pivot_table(index="examples", columns="trial", values=name, aggfunc="mean")
        return wide.sort_index()

    def importance(self, metric: str | None = None) -> pd.DataFrame:
        """How much each hyperparameter decides whether a trial is among the best; see `analysis.importance`.

        A row per hyperparameter, most important first: `importance` (they sum to 1), `low` and `high`
        (quartiles over resampled trials) and `chance` (what one that does nothing would reach).
        """
        if metric not in self._importance:
            from analysis.importance import Objective, importance

            if metric is not None and metric not in dict(self.objectives):
                names = ", ".join(dict(self.objectives))
                raise RunError(f"{self.path}: {metric!r} is no objective; there are {names}")
            if not self.objectives:
                raise RunError(f"{self.path}: importance needs an objective; the run names none")
            objectives = [
                Objective(column, direction)
                for column, (name, direction) in zip(self.value_columns, self.objectives, strict=False)
                if metric in (None, name)
            ]
            with self._located():
                self._importance[metric] = importance(self.trials, objectives, self.study_file.space)
        return self._importance[metric]

    def weights(self, trial: int, replicate: int = 0) -> dict[str, Any]:
        """A trial's weights as an MLX tree for `model.update(tree)`: from the checkpoint that `model` takes.

        Raises RunError where there is no checkpoint, or it is damaged.
        """
        from analysis.weights import weights

        return weights(self._checkpoint_path(trial, replicate))

    def model(self, trial: int, replicate: int = 0, *, task: object = None) -> Any:
        """A trial's `nn.Module` with its weights, in evaluation mode, in float32.

        They are those of its last checkpoint; where its value is that of its best report, of that one, and a
        warning says so where that was not kept.

        The task is the study's own, from the folder where the study file lay; `task` gives another instance
        or class of it. Raises RunError where task, model or checkpoint cannot be loaded.
        """
        from analysis.weights import model

        with self._located():
            own = self._task(trial) if task is None else task
            path = self._checkpoint_path(trial, replicate)
            return model(path, self.study.trials[trial].hyperparameters, own)

    def export_adapter(self, trial: int, out: Path, replicate: int = 0) -> list[str]:
        """Write a trial's adapter as its task does; gives the commands that use it. Raises RunError."""
        from analysis.weights import export

        with self._located():
            own = self._task(trial)
            path = self._checkpoint_path(trial, replicate)
            return export(path, self.study.trials[trial].hyperparameters, own, out)

    def final(self, trial: int, *, samples: bool = True) -> Final:
        """What is found of a trial on its task's test part, a mean over replicates, and texts to show.

        It is computed now, from the checkpoints that `model` takes, on this machine. Raises RunError.
        """
        from analysis.weights import final

        kept = self.checkpoints
        replicates = sorted(set(kept["replicate"][kept["trial"] == trial])) or [0]
        with self._located():
            own = self._task(trial)
            given = self.study.trials[trial].hyperparameters
            found = [
                final(self._checkpoint_path(trial, each), given, own, samples=samples and not place)
                for place, each in enumerate(replicates)
            ]
        means = {name: fmean(each.metrics[name] for each in found) for name in found[0].metrics}
        return Final(means, found[0].samples)

    def metric_column(self, metric: str | None = None) -> str:
        """The column of `metrics` that holds a metric, by default the first objective. Raises RunError."""
        if metric is None:
            if not self.objectives:
                raise RunError(f"{self.path}: names no objective; say which metric")
            metric = self.objectives[0][0]
        for name in (f"metric_{metric}", metric):
            if name in self.metrics:
                return name
        known = ", ".join(self.metric_names) or "none yet"
        raise RunError(f"{self.path}: no report holds {metric!r}; the metrics are: {known}")

    @property
    def metric_names(self) -> list[str]:
        """The columns of `metrics` that are metrics."""
        return [str(name) for name in self.metrics if name not in frames.REPORT_COLUMNS]

    @property
    def value_columns(self) -> list[str]:
        """The columns of `trials` that hold the objectives' values, in their order."""
        metrics = [metric for metric, _ in self.objectives]
        return [f"values_{metric}" for metric in metrics] if len(metrics) > 1 else ["value"]

    @property
    def parameters(self) -> list[str]:
        """The names of what the study varied."""
        return [str(name).removeprefix("params_") for name in self.trials if str(name).startswith("params_")]

    @cached_property
    def records(self) -> list[Record]:
        """Every record of the log that is no report, in order."""
        found: list[Record] = []
        if not self._has_log:
            return found

        def read() -> None:
            for batch in read_batches(self.path / layout.LOG, kinds=_KINDS, on_damage=warn_of_damage):
                found.extend(batch)

        try:
            self._reading(read)
        except _TooNew as error:
            warn(f"{error}; shown is what came before")
        return found

    @cached_property
    def study(self) -> StudyState:
        """The study and its trials as the log has them."""
        study = StudyState()
        for record in self.records:
            study.add(record)
        return study

    @property
    def _is_in_order(self) -> bool:
        """Whether the study has a fixed order: as its first record says, so that no other is read for it."""
        if not self._has_log:
            return False
        log = self.path / layout.LOG
        batches = read_batches(log, kinds={"opened"}, stop=whole_bytes(log), on_damage=lambda _: None)
        first = next(batches, [])
        return bool(first) and first[0].get("lag") is not None

    @property
    def _directions(self) -> list[str]:
        return [direction for _, direction in self.objectives] or ["minimize"]

    def _checkpoint_path(self, trial: int, replicate: int) -> str:
        """Where the checkpoint that `model` takes lies: a path or a URL. Raises RunError without one."""
        kept = self.checkpoints
        own = kept[(kept["trial"] == trial) & (kept["replicate"] == replicate)]
        if own.empty:
            there = ", ".join(str(number) for number in sorted(set(kept["trial"]))) or "none"
            raise RunError(
                f"{self.path}: trial {trial}, replicate {replicate} has no checkpoint; trials with one: "
                f"{there} (`checkpoints.keep_best` of the study file says how many stay)"
            )
        own = own.sort_values("examples")
        if not self.study_file.value_is_best:
            return str(own["path"].iloc[-1])
        if own["value"].notna().any():
            own = own[own["value"].notna()]
            path, examples = self._at_best(own, own["value"], "path", "examples")
        else:
            path, examples = own[["path", "examples"]].iloc[-1]
        self._warn_unless_best(trial, replicate, int(examples))
        return str(path)

    def _at_best(self, rows: pd.DataFrame, values: pd.Series[Any], *columns: str) -> list[Any]:
        """What the first of the rows with the best value has in some columns."""
        found = values.to_numpy()
        place = int(found.argmax() if self._directions[0] == "maximize" else found.argmin())
        return [rows[column].iloc[place] for column in columns]

    def _warn_unless_best(self, trial: int, replicate: int, examples: int) -> None:
        """Say where a checkpoint is not that of the run's best report."""
        metrics = self.metrics
        own = metrics[(metrics["trial"] == trial) & (metrics["replicate"] == replicate)]
        own = own.dropna(subset=[self.metric_column()]).sort_values("examples")
        best = self._at_best(own, own[self.metric_column()], "examples")[0] if len(own) else examples
        if best != examples:
            warn(
                f"{self.path}: trial {trial}, replicate {replicate}: the checkpoint of its best report, "
                f"at {best} examples, was not kept; taken is the one at {examples}"
            )

    def _task(self, trial: int) -> Any:
        """The study's own task, from the folder where its study file lay when it last ran.

        Texts that it reads are those of the session that the trial ended in.
        """
        if trial not in self.study.trials:
            raise RunError(f"no trial {trial}; there are {len(self.study.trials)}")
        row = self.study.trials[trial]
        from analysis.weights import load_task, warn_of_changes

        target, folder = self.study_file.values.get("task"), self.provenance.get("folder")
        if "command" in self.study_file.values:
            raise RunError("a command gives no model; its trials' checkpoints hold what it left")
        if not isinstance(target, str) or not isinstance(folder, str):
            raise RunError("the folder of its task is not recorded. Pass it: model(trial, task=MyTask)")
        recorded = provenance.of_session(self.provenance, row.session)
        read = recorded.get("reads", {})
        task = load_task(folder, target, recorded.get("task_sha256"), read)
        warn_of_changes(task, row.hyperparameters, read)
        return task

    @contextmanager
    def _located(self) -> Iterator[None]:
        """Errors inside name this run."""
        try:
            yield
        except RunError as error:
            text = str(error)
            raise RunError(text if str(self.path) in text else f"{self.path}: {text}") from error

    def _candidates(self) -> list[ranking.Candidate]:
        return frames.candidates(self.trials, self.value_columns)

    def _read_metrics(self) -> Any:
        try:
            return read_metrics(
                self.path, on_damage=warn_of_damage, on_unreadable=self._warn, log=self._has_log
            )
        except UnreadableLogError as error:
            self._warn(f"{error}; shown is what its Parquet files hold")
            return read_metrics(self.path, on_damage=warn_of_damage, on_unreadable=self._warn, log=False)

    def _warn(self, text: str) -> None:
        warn(text if str(self.path) in text else f"{self.path}: {text}")

    def _reading(self, read: Callable[[], _Result]) -> _Result:
        try:
            return read()
        except UnreadableLogError as error:
            raise _TooNew(str(error)) from error
        except OSError as error:
            raise RunError(f"cannot be read: {error}") from error


class _TooNew(RunError):
    """The rest of the log was written by a newer version."""


def warn_of_damage(damage: Damage) -> None:
    """Say which line of the log could not be read."""
    warn(f"{damage.path.parent}: {damage}")
