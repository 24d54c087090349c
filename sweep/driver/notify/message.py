"""What is told: a title, a sentence or two, and the same as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.driver.monitor.progress import BestSoFar, StudyView, duration
from sweep.vocabulary.trial import Scalar


@dataclass(frozen=True)
class About:
    """The study that messages are about; its earlier sessions took so long."""

    name: str
    metric: str
    host: str
    earlier_s: float = 0.0


@dataclass(frozen=True)
class Message:
    """One message; `event` is one of the study file's, or `test`.

    `trial` is the best trial where it is told, `ended` how many trials had ended where the end is told: by
    these the log knows what was told.
    """

    event: str
    title: str
    text: str
    trial: int | None = None
    ended: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What a webhook is sent; Slack reads `text`, Discord `content`."""
        said = f"{self.title}. {self.text}"
        return {"text": said, "content": said, "event": self.event, "title": self.title, **self.values}


class Words:
    """Composes messages: nothing but names, counts and the objective, unless `include` asks for more."""

    def __init__(self, about: About, include: tuple[str, ...]) -> None:
        self._about = about
        self._include = include

    def test(self) -> Message:
        """What `notify-test` sends."""
        text = f"Messages of {self._about.name} arrive here."
        return self._message("test", "test message", text, None)

    def best(self, view: StudyView, best: BestSoFar) -> Message:
        """There is a new best trial."""
        return self._message(
            "best", "new best", f"{self._best(best)} {_ended(view)}", view, trial=best.number
        )

    def end(self, view: StudyView) -> Message:
        """The study has ended as it should."""
        counts = ", ".join(f"{count} {state.lower()}" for state, count in view.ended.items() if count)
        text = f"{counts or 'no trials'} in {duration(self._about.earlier_s + view.elapsed_s)}."
        trial = None
        if view.best is not None:
            text, trial = f"{text} {self._best(view.best)}", view.best.number
        return self._message("end", "finished", text, view, trial=trial, ended=view.done)

    def stopped(self, view: StudyView, what: str, reason: str | None) -> Message:
        """The study has stopped before its end, by itself."""
        text = f"{what} {_ended(view)} Mend the cause; the same command resumes it."
        return self._message("failure", "stopped", text, view, reason=reason)

    def failing(self, view: StudyView, in_a_row: int, reason: str | None) -> Message:
        """Trials fail one after another, and the study continues."""
        text = f"The study continues. {_ended(view)}"
        return self._message("failure", f"{in_a_row} trials in a row failed", text, view, reason=reason)

    def silence(self, view: StudyView, silent_s: float) -> Message:
        """No report has come for long."""
        workers = "" if view.slots else " No worker is connected."
        text = f"{view.running} running.{workers} {_ended(view)}"
        return self._message("silence", f"no report for {duration(silent_s)}", text, view)

    def _message(
        self,
        event: str,
        title: str,
        text: str,
        view: StudyView | None,
        *,
        trial: int | None = None,
        ended: int | None = None,
        reason: str | None = None,
    ) -> Message:
        about = self._about
        values: dict[str, Any] = {"study": about.name, "host": about.host}
        if view is not None:
            values |= {"trials": dict(view.ended), "running": view.running, "budget": view.budget}
        if view is not None and view.best is not None:
            values |= {"metric": about.metric, "best": view.best.value, "trial": view.best.number}
            if "hyperparameters" in self._include:
                values["hyperparameters"] = dict(view.best.params)
        if reason and "reasons" in self._include:
            text, values["reason"] = f"{text} The reason: {reason}", reason
        return Message(event, f"{about.name}: {title}", _sendable(text), trial, ended, values)

    def _best(self, best: BestSoFar) -> str:
        params = ""
        if "hyperparameters" in self._include:
            params = f" with {' '.join(f'{name}={_short(value)}' for name, value in best.params.items())}"
        return f"Best: trial {best.number}, {self._about.metric} {best.value:.6g}{params}."


def _sendable(text: str) -> str:
    """What UTF-8 and a program's arguments can hold: names of files and reasons may be any bytes."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")


def _ended(view: StudyView) -> str:
    total = f" of {view.budget}" if view.budget is not None else ""
    return f"{view.done}{total} trials ended."


def _short(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
