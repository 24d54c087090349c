"""Trials as TensorBoard has them: a folder each, with scalars by examples and an entry in HPARAMS."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from runlog.study import TrialRow
from sweep.driver.loggers.base import LoggedRun
from sweep.vocabulary.trial import Report

WHOLE = ".whole"
"""A file beside a trial's events that says that nothing will be added."""


class TensorBoardLogger:
    """Writes into `folder`, by default `tensorboard` in the run directory."""

    def __init__(self, run: LoggedRun, folder: str | None = None) -> None:
        self._run = run
        self._folder = run.path / "tensorboard" if folder is None else Path(folder).expanduser()
        self._writers: dict[int, SummaryWriter] = {}

    def whole(self) -> Collection[int]:
        paths = self._folder.glob(f"trial-*/{WHOLE}")
        return [int(path.parent.name.removeprefix("trial-")) for path in paths]

    def asked(self, row: TrialRow) -> None:
        """Begin a trial's folder again: what a session that was killed wrote is in the log, too."""
        folder = self._trial(row.number)
        if folder.is_dir():
            shutil.rmtree(folder)
        writer = SummaryWriter(str(folder), flush_secs=3600)  # flushed from outside
        words = {name: str(value) if value is None else value for name, value in row.hyperparameters.items()}
        values = ["value"] if len(self._run.objectives) == 1 else self._run.objectives
        names = [*values] if len(values) == 1 else [f"values_{metric}" for metric in values]
        experiment, start, _ = hparams(words, names)
        writer.file_writer.add_summary(experiment)
        writer.file_writer.add_summary(start)
        self._writers[row.number] = writer

    def reported(self, report: Report) -> None:
        writer = self._writers[report.trial]
        for name, value in report.metrics.items():
            tag = self._run.metric(name, report.replicate)
            writer.add_scalar(tag, value, report.examples, walltime=report.time)

    def ended(self, row: TrialRow) -> None:
        writer = self._writers.pop(row.number)
        for name, value in self._run.values(row).items():
            writer.add_scalar(name, value, walltime=row.told)
        text = row.state if row.reason is None else f"{row.state}: {row.reason}"
        writer.add_text("state", text, walltime=row.told)
        if row.state != "FAIL":
            _, _, success = hparams({}, {})
            writer.file_writer.add_summary(success)
        writer.close()
        (self._trial(row.number) / WHOLE).touch()

    def flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _trial(self, number: int) -> Path:
        return self._folder / f"trial-{number:05d}"


LOGGER = TensorBoardLogger
