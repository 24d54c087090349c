"""What was asked of a run by hand, by its log: settings, points to try, ends, a pause, notes and tags.

A request is a record once it is answered, before anything of it is done: what a kill leaves undone, the next
session does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runlog.records import Record

KINDS = ("request", "withdrawn")
"""The records that only `Steered` takes in."""

ENDS = ("prune", "finish")
"""Verbs that end a trial."""

STAR = "star"
"""The tag that keeps a trial's checkpoints."""


@dataclass(frozen=True)
class Answered:
    """A request and what came of it; times in seconds since 1970, `by` the user who asked."""

    id: str
    verb: str
    arguments: dict[str, Any]
    accepted: bool
    answer: str
    time: float
    by: str = ""

    def __str__(self) -> str:
        word = "" if self.accepted else "refused: "
        return f"{self.verb} {arguments_text(self.arguments)}".rstrip() + f": {word}{self.answer}"


@dataclass(frozen=True)
class Setting:
    """A key of the study file that was set, and what the file had for it then."""

    value: Any
    file: Any
    time: float
    by: str = ""


@dataclass(frozen=True)
class Remark:
    """A note of a person's."""

    text: str
    time: float
    by: str = ""


@dataclass
class Steered:
    """All of it so far; feed it records in the order of the log.

    `points` are those that were asked for and not tried yet, by the request's id; `ends` the trials that are
    to end and have not, with the verb; `paused` since when, None where it is not. Notes and tags are by
    trial, None for the run's own.
    """

    answered: dict[str, Answered] = field(default_factory=dict)
    settings: dict[str, Setting] = field(default_factory=dict)
    points: dict[str, dict[str, Any]] = field(default_factory=dict)
    ends: dict[int, str] = field(default_factory=dict)
    paused: float | None = None
    remarks: dict[int | None, list[Remark]] = field(default_factory=dict)
    tags: dict[int | None, list[str]] = field(default_factory=dict)

    @property
    def starred(self) -> frozenset[int]:
        """The trials whose checkpoints are kept."""
        return frozenset(number for number, tags in self.tags.items() if number is not None and STAR in tags)

    def add(self, record: Record) -> None:
        """Take in one record; kinds that have nothing to do with it are ignored."""
        match record["event"]:
            case "request":
                self._answered(record)
            case "withdrawn":
                for key in record["settings"]:
                    self.settings.pop(key, None)
                for id in record["points"]:
                    self.points.pop(id, None)
            case "asked":
                self.points.pop(record.get("enqueued", ""), None)
            case "told":
                self.ends.pop(record["trial"], None)

    def _answered(self, record: Record) -> None:
        id, verb, arguments, by = record["id"], record["verb"], record["arguments"], record.get("by", "")
        if id in self.answered:
            return
        found = Answered(id, verb, arguments, record["accepted"], record["answer"], record["time"], by)
        self.answered[id] = found
        if found.accepted:
            self._enter(found, record.get("file", {}))

    def _enter(self, found: Answered, file: dict[str, Any]) -> None:
        """What an accepted request changes."""
        arguments, trial = found.arguments, found.arguments.get("trial")
        match found.verb:
            case "set":
                for key, value in arguments.items():
                    self.settings[key] = Setting(value, file.get(key), found.time, found.by)
            case "enqueue":
                self.points[found.id] = arguments
            case "prune" | "finish":
                self.ends[arguments["trial"]] = found.verb
            case "pause":
                self.paused = found.time
            case "resume" | "stop":
                self.paused = None
            case "note":
                self.remarks.setdefault(trial, []).append(Remark(arguments["text"], found.time, found.by))
            case "tag":
                self._tag(trial, arguments["tag"], remove=arguments.get("remove", False))

    def _tag(self, trial: int | None, tag: str, *, remove: bool) -> None:
        tags = self.tags.setdefault(trial, [])
        if remove and tag in tags:
            tags.remove(tag)
        elif not remove and tag not in tags:
            tags.append(tag)


def arguments_text(arguments: dict[str, Any]) -> str:
    """What a request asks for, in a few words."""
    named = {name: value for name, value in arguments.items() if name not in ("trial", "text", "tag")}
    alone = [arguments[name] for name in ("trial", "tag", "text") if arguments.get(name) is not None]
    pairs = (f"{name}={value}" for name, value in named.items() if value is not False)
    return " ".join([*map(str, alone), *pairs])
