"""Trials as MLflow has them: a run each, with parameters, metrics by examples, and a status at its end."""

from __future__ import annotations

import logging
import os
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when it is imported: nothing is sent

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from runlog.study import TrialRow
from sweep.driver.loggers.base import LoggedRun
from sweep.driver.loggers.names import Names
from sweep.vocabulary.trial import Report

STATUS: Mapping[str, str] = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
"""MLflow's names for states; the tag `sweep.state` holds Optuna's."""

BATCH = 1000
"""As many metrics as MLflow takes at once."""

PAGE = 1000
PARAM_CHARACTERS = 6000
TAG_CHARACTERS = 5000


class MlflowLogger:
    """Writes to `tracking_uri`, by default MLFLOW_TRACKING_URI or else `mlflow.db` in the run directory.

    A run of the same study in another directory is another one: the tag `sweep.run` tells them apart.
    """

    def __init__(
        self, run: LoggedRun, tracking_uri: str | None = None, experiment: str | None = None
    ) -> None:
        self._run = run
        self._path = str(run.path.resolve())
        ours = f"sqlite:///{run.path.resolve() / 'mlflow.db'}"
        with _without_chatter():
            self._client = MlflowClient(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or ours)
            self._experiment = self._find_experiment(experiment or run.study)
        self._ids: dict[int, str] = {}
        self._written: dict[int, set[tuple[str, int]]] = {}
        self._metrics: dict[str, list[Metric]] = {}
        self._names = Names("mlflow", allowed, run.say)

    def whole(self) -> Collection[int]:
        """The trials whose runs have ended; other trials resume theirs."""
        ended = []
        for run in self._runs():
            number = int(run.data.tags["sweep.trial"])
            if "sweep.state" in run.data.tags and run.info.status in STATUS.values():
                ended.append(number)
            else:
                self._ids[number] = run.info.run_id
                self._written[number] = self._points(run)
        return ended

    def asked(self, row: TrialRow) -> None:
        if row.number in self._ids:
            return
        tags = {"sweep.run": self._path, "sweep.study": self._run.study, "sweep.trial": str(row.number)}
        name, begun = f"trial-{row.number:05d}", _milliseconds(row.asked)
        run = self._client.create_run(self._experiment, start_time=begun, tags=tags, run_name=name)
        params = [
            Param(allowed(key), str(value)[:PARAM_CHARACTERS])
            for key, value in sorted(row.hyperparameters.items())
        ]
        self._client.log_batch(run.info.run_id, params=params)
        self._ids[row.number] = run.info.run_id

    def reported(self, report: Report) -> None:
        written, time = self._written.get(report.trial, ()), round(report.time * 1000)
        points = self._names.all(
            {self._run.metric(name, report.replicate): value for name, value in report.metrics.items()}
        )
        self._metrics.setdefault(self._ids[report.trial], []).extend(
            Metric(key, value, time, report.examples)
            for key, value in points.items()
            if (key, report.examples) not in written
        )

    def ended(self, row: TrialRow) -> None:
        id, time = self._ids.pop(row.number), _milliseconds(row.told) or 0
        written = self._written.pop(row.number, set())
        examples = int(row.ledger.get("examples", 0))
        self._metrics.setdefault(id, []).extend(
            Metric(key, value, time, examples)
            for key, value in self._names.all(self._run.values(row)).items()
            if (key, examples) not in written
        )
        self._send(id)
        tags = {"sweep.state": row.state, **({"sweep.reason": row.reason} if row.reason else {})}
        self._client.log_batch(id, tags=[RunTag(key, text[:TAG_CHARACTERS]) for key, text in tags.items()])
        self._client.set_terminated(id, STATUS[row.state], time)

    def flush(self) -> None:
        for id in [*self._metrics]:
            self._send(id)

    def close(self) -> None:
        """All is written: each call has been flushed."""

    def _send(self, id: str) -> None:
        metrics = self._metrics.pop(id, [])
        for start in range(0, len(metrics), BATCH):
            self._client.log_batch(id, metrics=metrics[start : start + BATCH])

    def _find_experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found is not None else self._client.create_experiment(name)

    def _runs(self) -> Iterator[Run]:
        """This run directory's runs, of all earlier sessions."""
        quoted = self._path.replace("'", "''")
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], f"tags.`sweep.run` = '{quoted}'", max_results=PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _points(self, run: Run) -> set[tuple[str, int]]:
        """The metrics of a run and the examples at which each has been written."""
        id = run.info.run_id
        try:
            return {
                (key, point.step)
                for key in run.data.metrics
                for point in self._client.get_metric_history(id, key)
            }
        except MlflowException:  # removed in between: it is written again
            return set()


def allowed(name: str) -> str:
    """A name as MLflow takes it: `acc@5` is `acc_at_5` there, any other character that it refuses is `_`."""
    found = re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_"))
    return (
        found if posixpath.normpath(found) == found and found[0] not in "/." else re.sub(r"[/.]", "_", found)
    )


LOGGER = MlflowLogger


def _milliseconds(time: float | None) -> int | None:
    return None if time is None else round(time * 1000)


@contextmanager
def _without_chatter() -> Iterator[None]:
    """The first use of a database is reported line by line by what MLflow makes it with."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
