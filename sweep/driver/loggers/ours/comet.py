"""Trials as Comet has them: an experiment each, and one of the study with the best so far."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

os.environ.setdefault("COMET_DISABLE_AUTO_LOGGING", "1")  # read when it is imported: nothing else is sent
os.environ.setdefault("COMET_DISABLE_ANNOUNCEMENT", "1")
os.environ.setdefault("COMET_ERROR_TRACKING_ENABLE", "false")
os.environ.setdefault("COMET_LOGGING_CONSOLE", "ERROR")

import comet_ml
from comet_ml.config import set_global_experiment

from runlog.study import TrialRow
from sweep.driver.loggers.base import LoggedRun
from sweep.driver.loggers.best import Best
from sweep.driver.loggers.names import Names
from sweep.vocabulary.trial import Report

FOLDER = "comet"
"""Where archives lie that are not online, in the run directory."""

WRITTEN = "sweep-written"
"""A file there: experiment, rows, `whole` or `open`, archive and where it went, a line each time one ends."""

AT_ONCE = 16
"""So many experiments end side by side: each waits for a second."""

MOST_CHARACTERS = 90
"""Comet cuts names off at 100, and two of them may need a number behind them."""

QUIET: Mapping[str, Any] = {
    "log_code": False,
    "log_graph": False,
    "parse_args": False,
    "log_git_metadata": False,
    "log_git_patch": False,
    "log_env_details": False,
    "auto_output_logging": False,
    "auto_param_logging": False,
    "auto_metric_logging": False,
    "auto_log_co2": False,
    "display_summary_level": 0,
}


@dataclass(frozen=True)
class _There:
    """How much of an experiment was written, whether to its end, and its last archive."""

    rows: int = 0
    is_whole: bool = False
    archive: str | None = None


class _Remote:
    """A Comet experiment, opened once there is something new. Rows that it has are not written again."""

    def __init__(self, id: str, start: Callable[[], Any], there: int) -> None:
        self.id = id
        self.rows = 0
        self.is_open = False
        self._start = start
        self._there = there

    @cached_property
    def experiment(self) -> Any:
        """Comet's own."""
        self.is_open = True
        return self._start()

    def log(self, values: Mapping[str, float], *, step: int, epoch: float | None = None) -> None:
        """Write one row."""
        if self.rows >= self._there:
            self.experiment.log_metrics(dict(values), step=step, epoch=epoch)
        self.rows += 1


class CometLogger:
    """Writes to the project of the study's name, or to `project`, as `mode` says: `online` or `offline`.

    `offline` writes archives into `comet` in the run directory, for `comet upload`. Experiments have keys by
    how the log of the run directory begins, so a study that resumes continues its own. Raises RuntimeError
    where it would be online and no key is known.
    """

    def __init__(
        self,
        run: LoggedRun,
        project: str | None = None,
        workspace: str | None = None,
        mode: str = "online",
    ) -> None:
        if mode not in ("online", "offline"):
            raise ValueError(f"mode must be online or offline, got {mode}")
        self._is_online = mode == "online"
        if self._is_online and not comet_ml.get_config("comet.api_key"):
            raise RuntimeError(
                "no Comet key is known here. Run: comet login, or write {name: comet, mode: offline}"
            )
        self._study = run
        self._project = project or run.study
        self._workspace = workspace
        self._folder = run.path / FOLDER
        self._folder.mkdir(exist_ok=True)
        self._lock = Lock()
        self._written = self._read_written()
        self._names = Names("comet", _allowed, run.say)
        self._best = Best(run.directions)
        self._pool = ThreadPoolExecutor(AT_ONCE, "comet")
        self._ending: list[Future[None]] = []
        self._trials: dict[int, _Remote] = {}
        self._overview = self._remote("study", run.study)

    def whole(self) -> Collection[int]:
        """None: the experiment of the study needs the ends of all."""
        return ()

    def asked(self, row: TrialRow) -> None:
        id = f"{row.number:05d}"
        if not self._has(id).is_whole:
            self._trials[row.number] = self._remote(id, f"trial-{id}", row.hyperparameters)

    def reported(self, report: Report) -> None:
        if (found := self._trials.get(report.trial)) is not None:
            named = {
                self._study.metric(name, report.replicate): value for name, value in report.metrics.items()
            }
            found.log(self._names.all(named), step=report.examples, epoch=report.epoch)

    def ended(self, row: TrialRow) -> None:
        self._best.enter(row)
        values = self._names.all(self._study.values(row))
        if values:
            best = {} if self._best.value is None else {"best": self._best.value}
            self._overview.log({**values, **best}, step=row.number)
        if (found := self._trials.pop(row.number, None)) is None:
            return
        if values:
            found.log(values, step=int(row.ledger.get("examples", 0)))
        found.experiment.log_others({"state": row.state, "reason": row.reason})
        found.experiment.add_tag(row.state)
        self._end(found, whole=True)

    def flush(self) -> None:
        """Comet's own threads send what it was given; an end that failed is raised."""
        done = [each for each in self._ending if each.done()]
        self._ending = [each for each in self._ending if each not in done]
        for each in done:
            each.result()

    def close(self) -> None:
        """Trials that are not at their end are to be continued; so is the study's experiment."""
        if self._best.row is not None and self._overview.is_open:
            best = {"best_trial": self._best.row.number, "best": self._best.value, **self._best.row.params}
            self._overview.experiment.log_others(best)
        for found in (*self._trials.values(), self._overview):
            if found.is_open:
                self._end(found, whole=False)
        self._pool.shutdown()
        self.flush()

    # Experiments

    def _remote(self, id: str, name: str, hyperparameters: Mapping[str, Any] | None = None) -> _Remote:
        """An experiment, opened at once where there is none yet."""
        there = self._has(id)
        is_new = there.archive is None
        found = _Remote(id, lambda: self._start(id, name, hyperparameters if is_new else None), there.rows)
        if is_new:
            _ = found.experiment
        return found

    def _start(self, id: str, name: str, hyperparameters: Mapping[str, Any] | None) -> Any:
        set_global_experiment(None)  # or it would end the one that was opened before
        experiment = comet_ml.start(
            workspace=self._workspace,
            project_name=self._project,
            experiment_key=self._key(id),
            mode="get_or_create",
            online=self._is_online,
            experiment_config=comet_ml.ExperimentConfig(
                **QUIET, name=name, tags=[self._study.study], offline_directory=str(self._folder)
            ),
        )
        if hyperparameters:
            experiment.log_parameters(dict(hyperparameters))
        return experiment

    def _end(self, found: _Remote, *, whole: bool) -> None:
        self._ending.append(self._pool.submit(self._end_now, found, whole))

    def _end_now(self, found: _Remote, whole: bool) -> None:
        """Wait until all is where it belongs, and note that: what is not noted, a later session writes."""
        found.experiment.end()
        with self._lock:
            archive = self._numbered(self._key(found.id))
            there = _There(max(found.rows, self._has(found.id).rows), whole, archive)
            self._written.setdefault(found.id, []).append(there)
            with (self._folder / WRITTEN).open("a") as file:
                word = "whole" if whole else "open"
                file.write(f"{found.id} {there.rows} {word} {archive} {self._place}\n")

    def _key(self, id: str) -> str:
        """Letters and digits, as Comet wants them."""
        text = f"{self._study.study}-{self._study.id}-{id}"
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    # What earlier sessions wrote

    @property
    def _place(self) -> str:
        return f"{'online' if self._is_online else 'offline'} {self._workspace or ''}/{self._project}"

    def _has(self, id: str) -> _There:
        return self._written.get(id, [_There()])[-1]

    def _numbered(self, key: str) -> str:
        """The archive that was just written, named so that it sorts behind those before it; `-` for none."""
        made = next(self._folder.glob(f"{key}*.zip"), None)
        if made is None:
            return "-"
        numbers = [each.name.partition("-")[0] for each in self._folder.glob(f"*-{key}.zip")]
        return made.rename(self._folder / f"{int(max(numbers, default='0')) + 1:04d}-{key}.zip").name

    def _read_written(self) -> dict[str, list[_There]]:
        """What is noted; archives that a killed session had not noted yet go, as the log has it all."""
        path = self._folder / WRITTEN
        found: dict[str, list[_There]] = {}
        noted = set()
        for line in path.read_text().splitlines() if path.exists() else ():
            id, rows, word, archive, place = line.split(" ", 4)
            noted.add(archive)
            if place == self._place:
                found.setdefault(id, []).append(_There(int(rows), word == "whole", archive))
        for each in self._folder.glob("*.zip"):
            if each.name not in noted:
                each.unlink()
        return found


def _allowed(name: str) -> str:
    """A name as Comet has it: any that is not too long."""
    return name[:MOST_CHARACTERS].strip() or "metric"


LOGGER = CometLogger
