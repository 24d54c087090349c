"""Requests to a run that does not train: paused, stopped or finished. Its next session does what they say."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runlog import layout
from runlog.steered import Answered
from sweep.driver.steering import channel
from sweep.driver.steering.channel import Request
from sweep.driver.steering.decisions import Standing, decide
from sweep.driver.steering.recording import is_answered, record
from sweep.driver.stopping import Stopping
from sweep.errors import RunDirError, SpecError
from sweep.executors.choosing import traits
from sweep.rundir.history import History, UnfinishedTrial, boundary_rows
from sweep.rundir.rundir import RunDir
from sweep.spec.parse import parse
from sweep.spec.resolve import resolved_text
from sweep.spec.schema import StudySpec
from sweep.vocabulary.turn import Trainable

LOOK_EVERY_S = 0.2


class Waiting:
    """The requests of a run that is held and does not train; `waits` where it is paused."""

    def __init__(
        self,
        run: RunDir,
        spec: StudySpec | None,
        say: Callable[[str], None],
        *,
        waits: bool,
        called: str | None = None,
    ) -> None:
        """`called` is what the person who asks calls the run directory."""
        self._run = run
        self._spec = spec
        self._say = say
        self._waits = waits
        self._called = called or str(run.path)
        self._said: set[str] = set()

    def answer_all(self) -> list[Answered]:
        """Answer what was asked; settings are in study.yaml, all else the next session reads from the log."""
        found = []
        for request in channel.pending(self._run.path, self._damaged):
            if not is_answered(self._run, request):
                found.append(self._answer(request))
            channel.remove(self._run.path, request.id)
        return found

    def await_resumed(self, is_over: Callable[[], bool]) -> bool:
        """Answer until the study is resumed; False where it is stopped, or `is_over`."""
        while not is_over():
            verbs = {answered.verb for answered in self.answer_all() if answered.accepted}
            if not verbs.isdisjoint(("resume", "stop")):
                return "stop" not in verbs
            time.sleep(LOOK_EVERY_S)
        return False

    def _answer(self, request: Request) -> Answered:
        decision = decide(request, self._standing())
        answered = record(self._run, request, decision)
        self._say(f"asked: {answered}")
        if decision.accepted and decision.spec is not None:
            self._spec = decision.spec
            self._run.write_study(resolved_text(decision.spec))
        return answered

    def _standing(self) -> Standing:
        history, spec = self._run.history, self._spec
        return Standing(
            run=self._called,
            spec=spec,
            steered=history.study.steered,
            ended={number: outcome.state.value for number, outcome in history.told.items()},
            live={number: _has_value(spec, each) for number, each in history.unfinished.items()},
            used=history.used + len(history.unfinished),
            ended_in_budget=history.used,
            saved={each.trial for each in history.checkpoints.values()},
            waits=self._waits,
            began=self._run.opened if self._waits else 0.0,
            asks_no_more=None if spec is None else _asks_no_more(spec, history),
            by_program=spec is not None and traits(spec).by_program,
        )

    def _damaged(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._run.record_message("warning", text)
            self._say(text)


def answer_unheld(run_dir: Path, say: Callable[[str], None], *, called: str | None = None) -> None:
    """Answer all that was asked of a run that no process holds. Raises RunDirError, RunInUseError."""
    path = run_dir.resolve()
    with RunDir.open(path.parent, path.name) as run:
        Waiting(run, recorded_study(run), say, waits=False, called=called).answer_all()
        run.commit()


def answer_late(run_dir: Path, say: Callable[[str], None]) -> None:
    """Answer what was asked while a session ended, and was busy."""
    if channel.count(run_dir):
        with suppress(RunDirError):  # another process holds it by now, or it is damaged: the next answers
            answer_unheld(run_dir, say)


def recorded_study(run: RunDir) -> StudySpec | None:
    """The study as the run directory has it; None where no session has begun. Raises RunDirError."""
    if (text := run.study_text) is None:
        return None
    try:
        return parse(text, str(run.path / layout.STUDY))
    except SpecError as error:
        raise RunDirError(f"{run.path / layout.STUDY} cannot be read: {error}") from error


def _asks_no_more(spec: StudySpec, history: History) -> str | None:
    """Why its next session would ask for no further trial, by the rules for its end."""
    stopping = Stopping(spec)
    for outcome in history.told.values():
        stopping.enter(outcome)
    return stopping.reason(history.elapsed_s)


def _has_value(spec: StudySpec | None, trial: UnfinishedTrial) -> bool:
    """Whether its runs have reported, so that it can end where they stand."""
    if spec is None:
        return False
    if spec.trainable is not Trainable.TASK:
        return len({report.replicate for report in trial.reports}) == spec.trial.replicates
    return bool(boundary_rows(trial.reports, spec.objective[0].metric, spec.trial.replicates))
