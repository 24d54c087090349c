"""What comes of a request, from plain values: accepted, and as what it is recorded, or refused and why."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from configfile.yamlfile import value_text
from runlog.steered import STAR, Steered
from sweep.driver.steering.channel import Request
from sweep.driver.steering.refusal import Refusal
from sweep.driver.steering.settings import OF_WORKERS, check_key, value_at, with_values
from sweep.driver.steering.space import checked_point
from sweep.spec.schema import StudySpec


@dataclass(frozen=True)
class Standing:
    """How a run stands when a request is judged.

    `spec` is the study in effect, None where the run directory has none. `ended` gives the state of trials
    that have ended, `live` says of the others whether each has a report; `used` trials count in the budget,
    of which `ended_in_budget` have ended. `saved` are trials with a checkpoint. `runs`: a session trains
    them; `waits`: it is paused, or is about to be; `stops`: it is about to end. `began` is when the process
    that holds the run took it, in seconds since 1970. `asks_no_more` says why no further trial is asked for.
    `by_program`: a Python program trains the trials.
    """

    run: str
    spec: StudySpec | None
    steered: Steered
    ended: Mapping[int, str] = field(default_factory=dict)
    live: Mapping[int, bool] = field(default_factory=dict)
    used: int = 0
    ended_in_budget: int = 0
    saved: Collection[int] = ()
    runs: bool = False
    waits: bool = False
    stops: bool = False
    began: float = 0.0
    asks_no_more: str | None = None
    by_program: bool = False

    @property
    def study(self) -> StudySpec:
        """The study in effect. Raises Refusal."""
        if self.spec is None:
            raise Refusal("the run has no study.yaml yet. Run its study first")
        return self.spec

    @property
    def points_of_file(self) -> int:
        """How many points of the study file's `enqueue` wait: its first trials try them, in order."""
        return max(0, len(self.study.enqueue) - len(self.ended) - len(self.live))

    @property
    def later(self) -> str:
        """What to add where nothing trains now."""
        if self.runs:
            return ""
        return ", once the study is resumed" if self.waits else ", when the study is next run"


@dataclass(frozen=True)
class Decision:
    """What a request comes to; `spec` is the study that a setting makes, `file` what its file had before."""

    answer: str
    accepted: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict)
    file: Mapping[str, Any] = field(default_factory=dict)
    spec: StudySpec | None = None


OF_A_SESSION = ("pause", "stop")
"""Verbs that mean the session that runs when they are asked."""


def decide(request: Request, standing: Standing) -> Decision:
    """Judge a request; one that is refused changes nothing."""
    arguments = dict(request.arguments)
    try:
        if (verb := VERBS.get(request.verb)) is None:
            raise Refusal(f"there is no request {request.verb}. Update sweep-mlx where the study runs")
        if request.verb in OF_A_SESSION and request.time < standing.began:
            raise Refusal("was asked of a session that has ended since. Ask again if you still want it")
        return verb(standing, arguments)
    except Refusal as refusal:
        return Decision(str(refusal), accepted=False, arguments=arguments)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Decision(f"cannot be read: {error!r}", accepted=False, arguments=arguments)


def _set(standing: Standing, arguments: dict[str, Any]) -> Decision:
    spec = standing.study
    if not arguments:
        raise Refusal("nothing to set. Write KEY=VALUE, such as budget.trials=200")
    for key in arguments:
        check_key(key, spec)
        if standing.by_program and key in OF_WORKERS:
            raise Refusal(f"{key}: a Python program trains the trials of this study, and decides that itself")
    new = with_values(spec, arguments)
    _check_budget(standing, new)
    _check_terminator(new, arguments)
    values = {key: value_at(new, key) for key in arguments}
    before = {key: value_at(spec, key) for key in arguments}
    settings = standing.steered.settings
    file = {key: settings[key].file if key in settings else before[key] for key in arguments}
    changes = ", ".join(
        f"{key}: {_shown(before[key])} -> {_shown(value)}"
        if before[key] != value
        else f"{key} is {_shown(value)} already"
        for key, value in values.items()
    )
    later = standing.later if values != before else ""
    return Decision(changes + later + _left_out(standing, new), arguments=values, file=file, spec=new)


def _left_out(standing: Standing, new: StudySpec) -> str:
    """What to say of points that wait, and for which the budget has no trial left."""
    trials = new.budget.trials
    waiting = len(standing.steered.points) + standing.points_of_file
    if trials is None or trials == standing.study.budget.trials or standing.used + waiting <= trials:
        return ""
    count = min(waiting, standing.used + waiting - trials)
    return f"; {count} points that wait are not tried" if count else ""


def _check_budget(standing: Standing, new: StudySpec) -> None:
    trials, ended = new.budget.trials, standing.ended_in_budget
    if trials is None or trials == standing.study.budget.trials:
        return
    if trials < ended:
        raise Refusal(
            f"budget.trials={trials} is below the {ended} trials that have ended. Set {ended} or more"
        )
    if new.extends is not None and trials > len(new.extends.trials):
        raise Refusal(
            f"budget.trials={trials}: the study extends {len(new.extends.trials)} trials, and has no others. "
            "To search further, start another study with `warm_start`"
        )


def _check_terminator(new: StudySpec, arguments: Mapping[str, Any]) -> None:
    if "stop.terminator" in arguments and new.stop.terminator is not None:
        from sweep.search import terminators

        if problems := terminators.problems(new):
            raise Refusal("; ".join(f"{each.key}: {each.what}" for each in problems))


def _enqueue(standing: Standing, arguments: dict[str, Any]) -> Decision:
    spec = standing.study
    if spec.sampler.name == "grid":
        raise Refusal("the grid sampler tries every point of the space by itself, and no other")
    if spec.extends is not None:
        raise Refusal("the study extends the trials of another run, and tries no others")
    point = checked_point(spec, arguments)
    if standing.asks_no_more is not None:
        raise Refusal(f"no further trial is asked for: {standing.asks_no_more}")
    total = spec.budget.trials
    waiting = len(standing.steered.points) + standing.points_of_file
    if total is not None and standing.used + waiting >= total:
        raise Refusal(
            f"the budget of {total} trials is used{f', {waiting} by points that wait' if waiting else ''}. "
            f"Raise it first: python -m sweep set {standing.run} budget.trials={standing.used + waiting + 1}"
        )
    before = f", after {waiting} that wait" if waiting else ""
    return Decision(f"is tried next{before}{standing.later}", arguments=point)


def _prune(standing: Standing, arguments: dict[str, Any]) -> Decision:
    number = _running(standing, arguments)
    return Decision(f"trial {number} ends as PRUNED{standing.later}", arguments={"trial": number})


def _finish(standing: Standing, arguments: dict[str, Any]) -> Decision:
    number = _running(standing, arguments)
    if not standing.live[number]:
        raise Refusal(f"trial {number} has no report yet, so it has no value. Wait for one, or prune it")
    how = " once its worker has saved it" if standing.runs and not standing.by_program else ""
    return Decision(f"trial {number} ends as COMPLETE{how}{standing.later}", arguments={"trial": number})


def _running(standing: Standing, arguments: Mapping[str, Any]) -> int:
    """A trial that runs, or waits to. Raises Refusal."""
    number = _trial(standing, arguments["trial"])
    if number in standing.ended:
        left = sorted(standing.live.keys() - standing.steered.ends.keys())
        names = ", ".join(map(str, left[:8])) + (" and others" if len(left) > 8 else "")
        remedy = f"Name one of those that run: {names}" if left else "None runs"
        raise Refusal(f"trial {number} has ended: {standing.ended[number]}. {remedy}")
    if (verb := standing.steered.ends.get(number)) is not None:
        raise Refusal(f"trial {number} is about to end already, by {verb}")
    return number


def _trial(standing: Standing, number: Any) -> int:
    asked = standing.ended.keys() | standing.live.keys()
    if isinstance(number, bool) or not isinstance(number, int) or number not in asked:
        there = f"trials 0 to {max(asked)} exist" if asked else "none exists yet"
        raise Refusal(f"no trial {number} ({there})")
    return number


def _pause(standing: Standing, arguments: dict[str, Any]) -> Decision:
    _check_trained(standing, "paused")
    if standing.steered.paused is not None:
        raise Refusal(f"is paused already. Resume it: python -m sweep resume {standing.run}")
    _check_stays(standing)
    if not standing.runs and not standing.waits:
        raise Refusal("does not run, so there is nothing to pause. Its memory is free already")
    return Decision(f"trials are saved and workers end. Resume it: python -m sweep resume {standing.run}")


def _resume(standing: Standing, arguments: dict[str, Any]) -> Decision:
    if standing.steered.paused is None:
        remedy = (
            "It runs" if standing.runs else "To resume a study that was stopped, run its own command again"
        )
        raise Refusal(f"is not paused. {remedy}")
    return Decision("resumed" if standing.waits or standing.runs else f"resumes{standing.later}")


def _stop(standing: Standing, arguments: dict[str, Any]) -> Decision:
    _check_trained(standing, "stopped")
    _check_stays(standing)
    if not standing.runs and not standing.waits:
        raise Refusal("does not run, so there is nothing to stop")
    return Decision("trials are saved and the study ends. Its own command resumes it")


def _check_trained(standing: Standing, what: str) -> None:
    if standing.by_program:
        raise Refusal(f"a Python program trains the trials of this study, and cannot be {what}. End it there")


def _check_stays(standing: Standing) -> None:
    if standing.stops:
        raise Refusal("is about to end. Its own command resumes it")


def _note(standing: Standing, arguments: dict[str, Any]) -> Decision:
    text = _without_controls(str(arguments["text"])).strip()
    if not text:
        raise Refusal('a note needs a text. Write one, such as "learning rate looks too high"')
    return Decision("noted", arguments={"text": text, **_place(standing, arguments)})


def _without_controls(text: str) -> str:
    """A text that changes no terminal which prints it."""
    return "".join(each for each in text if each in "\n\t" or unicodedata.category(each) != "Cc")


def _tag(standing: Standing, arguments: dict[str, Any]) -> Decision:
    tag, remove = str(arguments["tag"]), bool(arguments.get("remove", False))
    if not re.fullmatch(r"[\w.+-]+", tag):
        raise Refusal(f"the tag {tag!r} is no word. Use letters, digits and . + - _, such as {STAR}")
    place = _place(standing, arguments)
    number = place.get("trial")
    has = tag in standing.steered.tags.get(number, ())
    if remove and not has:
        raise Refusal(f"{'the run' if number is None else f'trial {number}'} has no tag {tag}")
    named = {"tag": tag, **place, **({"remove": True} if remove else {})}
    if number is None or tag != STAR:
        return Decision("the tag is removed" if remove else "tagged", arguments=named)
    if remove:
        return Decision("its checkpoints are kept no longer than those of other trials", arguments=named)
    if number in standing.saved or number in standing.live:
        return Decision("its checkpoints are kept", arguments=named)
    return Decision("tagged; it has no checkpoint any more that could be kept", arguments=named)


def _place(standing: Standing, arguments: Mapping[str, Any]) -> dict[str, int]:
    number = arguments.get("trial")
    return {} if number is None else {"trial": _trial(standing, number)}


def _shown(value: Any) -> str:
    return "not set" if value is None else value_text(value).strip("`")


VERBS: Mapping[str, Callable[[Standing, dict[str, Any]], Decision]] = {
    "set": _set,
    "enqueue": _enqueue,
    "prune": _prune,
    "finish": _finish,
    "pause": _pause,
    "resume": _resume,
    "stop": _stop,
    "note": _note,
    "tag": _tag,
}
