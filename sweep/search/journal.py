"""Optuna's journal, held in memory: the file has the format of Optuna's own journal, one process writes it.

Optuna's `JournalStorage` reads back from its file whatever it wrote, scans all trials whenever it is asked,
takes a lock and waits for the disk at every record, and fails on a last line that a kill cut off. Here the
run directory's lock stands for the whole session, trials are kept in memory, records wait for `commit`, and
a torn line is cut off when the file is opened. Readers (optuna-dashboard, `optuna.load_study`) open the file
with Optuna's own backend at any time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from runlog import collector
from runlog.reader import whole_bytes
from runlog.records import json_writer
from sweep.errors import JournalError
from sweep.rundir.log import LogWriter
from sweep.search.ended_trial import EndedTrial
from sweep.search.in_memory import TrialsInMemory

WORKER = "sweep"
"""Optuna's journal names the writer of each record; there is one."""

MOST_WRITTEN = 10_000
"""So many distributions are kept with what they are in the journal; a study has a few of its own."""

_BATCH_BYTES = 1 << 17

_as_json = json_writer(allow_nan=True)

_REPORT = b'{"op_code":%d,"worker_id":"%s","trial_id":%%d,"step":%%d,"intermediate_value":%%s}\n' % (
    JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE,
    WORKER.encode(),
)
"""The record of a report, of which there are more than of all others: what `_write` makes of it, sooner."""

_ASKED = (
    f'{{"op_code":{JournalOperation.CREATE_TRIAL:d},"worker_id":"{WORKER}","study_id":%d,"datetime_start":%s,'
    f'"state":{TrialState.RUNNING:d},"value":null,"values":null,"distributions":%s,"params":%s,'
    '"user_attrs":{},"system_attrs":{},"intermediate_values":{}}\n'
)
"""The record of a trial that was asked for with all its hyperparameters, in the same way."""


class Journal(TrialsInMemory):
    """The storage whose every change is on disk once `commit` returns; what the file holds is there at once.

    Study and trial ids are those that Optuna's `JournalStorage` gives when it reads the file. Raises
    JournalError where what the file holds cannot be read.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        size = whole_bytes(path)
        if size:
            storage, stored = _open(path, size)
            with collector.held_off():
                self._adopt(storage, stored.reports)
            self._max_study_id = stored.created[JournalOperation.CREATE_STUDY] - 1
            self._max_trial_id = stored.created[JournalOperation.CREATE_TRIAL] - 1
        self._log = LogWriter(path, size=size)
        self._written: dict[int, tuple[BaseDistribution, str]] = {}
        self._texts: dict[tuple[str, ...], tuple[dict[str, BaseDistribution], str]] = {}

    @property
    def dirty(self) -> bool:
        """Whether a commit would have anything to do."""
        return self._log.dirty

    def commit(self) -> None:
        """Wait until all records are on disk. Raises RunDirError where they cannot be written."""
        self._log.commit()

    def close(self) -> None:
        """Close the file; what was not committed is dropped."""
        self._log.close()

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        study_id = super().create_new_study(directions, study_name)
        name = self._studies[study_id].name
        self._write(JournalOperation.CREATE_STUDY, study_name=name, directions=list(directions))
        return study_id

    def delete_study(self, study_id: int) -> None:
        super().delete_study(study_id)
        self._write(JournalOperation.DELETE_STUDY, study_id=study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        super().set_study_user_attr(study_id, key, value)
        self._write(JournalOperation.SET_STUDY_USER_ATTR, study_id=study_id, user_attr={key: value})

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        super().set_study_system_attr(study_id, key, value)
        self._write(JournalOperation.SET_STUDY_SYSTEM_ATTR, study_id=study_id, system_attr={key: value})

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        trial = self._get_trial(trial_id)
        if trial.state.is_finished():
            self._set_trial(trial_id, EndedTrial.of(trial))
        self._write_created(study_id, trial, {} if template_trial is None else self._template(trial))
        return trial_id

    def enter_running(self, study_id: int, trial: FrozenTrial) -> int:
        trial_id = super().enter_running(study_id, trial)
        its = trial.distributions
        params = {name: its[name].to_internal_repr(value) for name, value in trial.params.items()}
        stamp = _as_json(_stamp(trial.datetime_start))
        text = _ASKED % (study_id, stamp, self._as_text(its), _as_json(params))
        self._log.append(text.encode())
        return trial_id

    def enter_report(self, trial_id: int, step: int, value: float) -> bool:
        """A report of a running trial, as `set_trial_intermediate_value` writes it; no trial is copied."""
        is_new = super().enter_report(trial_id, step, value)
        if is_new:
            number = float.__repr__(value) if isfinite(value) else _as_json(value)
            self._log.append(_REPORT % (trial_id, step, number.encode()))
        return is_new

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
        self._write(
            JournalOperation.SET_TRIAL_PARAM,
            trial_id=trial_id,
            param_name=param_name,
            param_value_internal=param_value_internal,
            distribution=self._as_json(distribution),
        )

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        changed = super().set_trial_state_values(trial_id, state, values)
        if changed:
            trial = self._get_trial(trial_id)
            fields: dict[str, Any] = {"state": state, "values": values}
            if state == TrialState.RUNNING:
                fields["datetime_start"] = _stamp(trial.datetime_start)
            elif state.is_finished():
                fields["datetime_complete"] = _stamp(trial.datetime_complete)
                self._set_trial(trial_id, EndedTrial.of(trial))
            self._write(JournalOperation.SET_TRIAL_STATE_VALUES, trial_id=trial_id, **fields)
        return changed

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        self._write(
            JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE,
            trial_id=trial_id,
            step=step,
            intermediate_value=intermediate_value,
        )

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        super().set_trial_user_attr(trial_id, key, value)
        self._write(JournalOperation.SET_TRIAL_USER_ATTR, trial_id=trial_id, user_attr={key: value})

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        super().set_trial_system_attr(trial_id, key, value)
        self._write(JournalOperation.SET_TRIAL_SYSTEM_ATTR, trial_id=trial_id, system_attr={key: value})

    def _write_created(self, study_id: int, trial: FrozenTrial, template: Mapping[str, Any]) -> None:
        started = _stamp(trial.datetime_start)
        self._write(JournalOperation.CREATE_TRIAL, study_id=study_id, datetime_start=started, **template)

    def _template(self, trial: FrozenTrial) -> dict[str, Any]:
        """A whole trial in one record, as Optuna writes it."""
        several = trial.values is not None and len(trial.values) > 1
        its = trial.distributions
        fields: dict[str, Any] = {
            "state": trial.state,
            "value": None if several or not trial.values else trial.values[0],
            "values": trial.values if several else None,
            "distributions": {name: self._as_json(each) for name, each in its.items()},
            "params": {name: its[name].to_internal_repr(value) for name, value in trial.params.items()},
            "user_attrs": trial.user_attrs,
            "system_attrs": trial.system_attrs,
            "intermediate_values": trial.intermediate_values,
        }
        if trial.datetime_complete is not None:
            fields["datetime_complete"] = _stamp(trial.datetime_complete)
        return fields

    def _as_json(self, distribution: BaseDistribution) -> str:
        """A distribution as Optuna writes it, once for each object: those of a study serve all its trials."""
        known = self._written.get(id(distribution))
        if known is None:
            if len(self._written) > MOST_WRITTEN:
                self._written.clear()
            known = self._written[id(distribution)] = (distribution, distribution_to_json(distribution))
        return known[1]

    def _as_text(self, distributions: Mapping[str, BaseDistribution]) -> str:
        """Distributions within a record; a study's trials have few sets of them."""
        names = tuple(distributions)
        known = self._texts.get(names)
        if known is None or any(known[0][name] is not distributions[name] for name in names):
            text = _as_json({name: self._as_json(each) for name, each in distributions.items()})
            known = self._texts[names] = (dict(distributions), text)
        return known[1]

    def _write(self, operation: JournalOperation, **fields: Any) -> None:
        record = {"op_code": operation, "worker_id": WORKER, **fields}
        self._log.append(_as_json(record).encode() + b"\n")

    def _adopt(self, stored: JournalStorage, reports: Mapping[int, Mapping[int, float]]) -> None:
        """Take over what was read, under the same ids; values that JSON changed come as a reader has them."""
        for study in sorted(stored.get_all_studies(), key=lambda study: study._study_id):
            self._max_study_id = study._study_id - 1
            super().create_new_study(study.directions, study.study_name)
            self._studies[study._study_id].user_attrs = study.user_attrs
            self._studies[study._study_id].system_attrs = study.system_attrs
            trials = stored.get_all_trials(study._study_id, deepcopy=False)
            for trial in trials:
                trial.intermediate_values.update(reports.get(trial._trial_id, {}))
            self._adopt_trials(study, trials)

    def _adopt_trials(self, study: FrozenStudy, trials: Sequence[FrozenTrial]) -> None:
        info = self._studies[study._study_id]
        for trial in trials:
            info.trials.append(EndedTrial.of(trial) if trial.state.is_finished() else trial)
            info.param_distribution.update(trial.distributions)
            self._trial_id_to_study_id_and_number[trial._trial_id] = (study._study_id, trial.number)
            self._update_cache(trial._trial_id, study._study_id)


def read_studies(path: Path) -> list[tuple[FrozenStudy, list[FrozenTrial]]]:
    """What a journal holds, read only. Raises JournalError where it cannot be read."""
    try:
        size = whole_bytes(path)
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror or error}") from error
    storage, stored = _open(path, size)
    found = []
    for study in storage.get_all_studies():
        trials = storage.get_all_trials(study._study_id)
        for trial in trials:
            trial.intermediate_values.update(stored.reports.get(trial._trial_id, {}))
        found.append((study, trials))
    return found


def _open(path: Path, size: int) -> tuple[JournalStorage, _Stored]:
    """Have Optuna read a journal's first `size` bytes. Raises JournalError."""
    stored = _Stored(path, size)
    try:
        with collector.held_off():
            return JournalStorage(stored), stored
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        AssertionError,
        RecursionError,
        OverflowError,
    ) as error:
        # Whatever Optuna makes of a record that is none: the file as a whole is not to be trusted.
        raise JournalError(f"{path} cannot be read as Optuna's journal: {error!r}") from error
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror or error}") from error


def _stamp(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment is not None else None


class _Stored(BaseJournalBackend):
    """What the file held when it was opened, read once.

    `created` counts what each operation made. Reports, the bulk of the file, are kept in `reports` by trial
    id instead of being handed on: Optuna would copy a trial for each of its reports.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self.created: Counter[int] = Counter()
        self.reports: dict[int, dict[int, float]] = {}

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        if log_number_from:
            return
        for lines in self._batches():
            for record in json.loads(b"[" + b",".join(lines) + b"]"):
                operation = record["op_code"]
                self.created[operation] += 1
                if operation == JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE:
                    values = self.reports.setdefault(record["trial_id"], {})
                    values[record["step"]] = record["intermediate_value"]
                else:
                    yield record

    def _batches(self) -> Iterator[list[bytes]]:
        """Whole lines, some hundreds at a time: parsed together they take half the time."""
        left = self._size
        with self._path.open("rb") as file:
            while left > 0 and (lines := file.readlines(min(left, _BATCH_BYTES))):
                left -= sum(map(len, lines))
                yield lines if left >= 0 else lines[:-1]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise NotImplementedError("only the storage in memory writes")
