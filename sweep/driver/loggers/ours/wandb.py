"""Trials as Weights & Biases has them: a run each in a group, and a run of the study with the best so far."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when it is imported: nothing is sent

import wandb

from runlog.study import TrialRow
from sweep.driver.loggers.base import LoggedRun
from sweep.driver.loggers.best import Best
from sweep.driver.loggers.names import Names, plain
from sweep.vocabulary.trial import Report

FOLDER = "wandb"
"""Where W&B writes, in the folder that it is given."""

WHOLE = "sweep-whole"
"""A file there with the numbers of the trials that were written to their end."""

ROWS = "sweep-rows"
"""A file in the folder of a run that is not online: how many rows it holds."""

AXIS = "examples"


class _Remote:
    """A W&B run that is open. Its rows are counted, and those that it has already are not written again."""

    def __init__(self, run: wandb.Run, there: int) -> None:
        self.run = run
        self._row = 0
        self._there = max(there, run.starting_step)

    def log(self, values: Mapping[str, object]) -> None:
        """Write one row."""
        if self._row >= self._there:
            self.run.log(dict(values), step=self._row)
        self._row += 1

    def count(self) -> None:
        """Note how many rows there are: who uploads them later takes no second copy."""
        if self.run.offline:
            Path(self.run.dir).parent.joinpath(ROWS).write_text(str(self._row))

    def finish(self, code: int) -> None:
        """Wait until all is where it belongs."""
        self.count()
        self.run.finish(exit_code=code)


class WandbLogger:
    """Writes to the project of the study's name, or to `project`, as WANDB_MODE or `mode` says.

    `offline` writes into `wandb` in the run directory, for `wandb sync`. Runs are named by how the log of the
    run directory begins, so a study that resumes continues its own. Raises RuntimeError where it would be
    online and no key is known.
    """

    def __init__(
        self,
        run: LoggedRun,
        project: str | None = None,
        entity: str | None = None,
        mode: str | None = None,
    ) -> None:
        self._study = run
        self._project = project or run.study
        self._entity = entity
        if mode not in (None, "online", "offline"):
            raise ValueError(f"mode must be online or offline, got {mode}")
        is_online = (mode or os.environ.get("WANDB_MODE", "online")) == "online"
        self._mode: Literal["online", "offline"] = "online" if is_online else "offline"
        self._settings = wandb.Settings(
            console="off",
            disable_git=True,
            disable_job_creation=True,
            save_code=False,
            silent=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        wandb.setup(settings=self._settings)
        if self._mode == "online" and not wandb.login(prompt=False):
            raise RuntimeError(
                "no W&B key is known here. Run: wandb login, or write {name: wandb, mode: offline}"
            )
        self._folder = run.path / FOLDER
        self._whole = self._read_whole()
        self._names = Names("wandb", _allowed, run.say)
        self._best = Best(run.directions)
        self._trials: dict[int, _Remote] = {}
        self._overview = self._open("study", name=run.study, job_type="study")

    def whole(self) -> Collection[int]:
        """None: the run of the study needs the ends of all."""
        return ()

    def asked(self, row: TrialRow) -> None:
        if row.number not in self._whole:
            name = f"trial-{row.number:05d}"
            found = self._open(f"{row.number:05d}", name=name, job_type="trial", config=row.hyperparameters)
            found.run.define_metric("*", step_metric=AXIS)
            self._trials[row.number] = found

    def reported(self, report: Report) -> None:
        if (found := self._trials.get(report.trial)) is not None:
            named = {
                self._study.metric(name, report.replicate): value for name, value in report.metrics.items()
            }
            found.log({**self._names.all(named), AXIS: report.examples, "epoch": report.epoch})

    def ended(self, row: TrialRow) -> None:
        self._best.enter(row)
        values = self._names.all(self._study.values(row))
        if values:
            best = {} if self._best.row is None else {"best": self._best.value}
            self._overview.log({**values, **best, "trial": row.number})
        if (found := self._trials.pop(row.number, None)) is None:
            return
        found.run.summary.update({**values, "state": row.state, "reason": row.reason})
        found.run.tags = (*(found.run.tags or ()), row.state)
        found.finish(1 if row.state == "FAIL" else 0)
        with (self._folder / WHOLE).open("a") as file:
            file.write(f"{row.number} {self._place}\n")

    def flush(self) -> None:
        for each in (self._overview, *self._trials.values()):
            each.count()

    def close(self) -> None:
        """Trials that are not at their end are to be continued; so is the study's run."""
        for found in self._trials.values():
            found.run.mark_preempting()
            found.finish(1)
        if self._best.row is not None:
            best = {"best_trial": self._best.row.number, "best": self._best.value, **self._best.row.params}
            self._overview.run.summary.update(best)
        self._overview.finish(0)

    @property
    def _place(self) -> str:
        return f"{self._mode} {self._entity or ''}/{self._project}"

    def _open(self, id: str, *, name: str, job_type: str, config: Mapping[str, Any] | None = None) -> _Remote:
        full = f"{self._study.study}-{self._study.id}-{id}"
        there = self._begin_again(full) if self._mode == "offline" else 0
        run = wandb.init(
            project=self._project,
            entity=self._entity,
            group=self._study.study,
            id=full,
            name=name,
            job_type=job_type,
            config=dict(config or {}),
            mode=self._mode,
            resume="allow",
            reinit="create_new",
            dir=self._study.path,
            settings=self._settings,
        )
        return _Remote(run, there)

    def _begin_again(self, id: str) -> int:
        """How many rows of a run were uploaded; what was not is removed, as the log has it all."""
        uploaded = 0
        for folder in self._folder.glob(f"offline-run-*-{id}"):
            if (folder / f"run-{id}.wandb.synced").exists():
                rows = folder / ROWS
                uploaded = max(uploaded, int(rows.read_text()) if rows.exists() else 0)
            else:
                shutil.rmtree(folder)
        return uploaded

    def _read_whole(self) -> set[int]:
        path = self._folder / WHOLE
        lines = path.read_text().splitlines() if path.exists() else []
        return {
            int(number)
            for number, _, place in (line.partition(" ") for line in lines)
            if place == self._place
        }


def _allowed(name: str) -> str:
    """A name as W&B's charts take it; those that begin with `_` are its own."""
    return plain(name, "/").lstrip("_") or "metric"


LOGGER = WandbLogger
