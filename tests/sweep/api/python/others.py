"""Processes that open a study beside this one, and do with it what they are told."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sweep

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["optuna", "sweep.api.python.asking.study", "sweep.driver.driver"])


class Other:
    """A process that has opened a study in a folder."""

    def __init__(self, folder: Path, keys: dict[str, Any]) -> None:
        self._here, there = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_obey, args=(there, str(folder), keys), daemon=True)
        self.process.start()
        there.close()
        self.do("open")

    def do(self, *order: Any) -> Any:
        """What comes of an order; an error of its is raised here."""
        self._here.send(order)
        found = self._here.recv()
        if isinstance(found, Exception):
            raise found
        return found

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@contextmanager
def others(folder: Path, *keys: dict[str, Any]) -> Iterator[list[Other]]:
    """Processes with a study each, opened one after the other; killed at the end."""
    started = [Other(folder, each) for each in keys]
    try:
        yield started
    finally:
        for each in started:
            each.kill()


def _obey(orders: Connection, folder: str, keys: dict[str, Any]) -> None:
    os.chdir(folder)
    study: Any = None
    trials: dict[int, Any] = {}
    found: Any
    while True:
        name, *arguments = orders.recv()
        try:
            match name:
                case "open":
                    study, found = sweep.Study(**keys), None
                case "ask":
                    trial = study.ask()
                    if trial is not None:
                        trials[trial.number] = trial
                    found = None if trial is None else (trial.number, trial.examples)
                case "report":
                    number, examples, loss = arguments
                    trials[number].report(examples, loss=loss)
                    found = trials[number].should_prune()
                case "save":
                    found = trials[arguments[0]].save(**arguments[1])
                case "checkpoint":
                    found = trials[arguments[0]].checkpoint
                    found = None if found is None else dict(found)
                case "tell":
                    found = study.tell(trials[arguments[0]], *arguments[1:])
                case "fork":
                    found = os.fork()
                    if not found:
                        signal.pause()
                case "best":
                    found = study.best.number
                case "close":
                    found = study.close()
        except Exception as error:
            found = error
        orders.send(found)
