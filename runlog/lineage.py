"""What became of the members of a population: whose state each one has, and its hyperparameters, by the log.

A member's lineage says under which trial's key, and with which hyperparameters, its state was trained from
the beginning. It is all that its state depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from runlog.numbers import decode_mapping
from runlog.records import Record

KIND = "evolved"
"""The record of what was decided on members that reached a boundary together."""


@dataclass(frozen=True)
class Stretch:
    """A part of a lineage: until so many examples were seen, under the key of `trial`.

    `trial` None: under the run's own.
    """

    until: int
    trial: int | None
    hyperparameters: Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """What a member does from a boundary on: with whose state, and with which hyperparameters.

    `examples` is the boundary, `seen` how many examples the member has seen there: the micro-batch that
    reaches it may go beyond. `source` is the trial whose state it takes, None where it keeps its own.
    """

    trial: int
    examples: int
    seen: int
    source: int | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    def as_fields(self) -> dict[str, Any]:
        """The fields of its part of the record."""
        return {**vars(self), "before": dict(self.before), "after": dict(self.after)}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """The change that a part of a record was written from."""
        before, after = decode_mapping(fields["before"]), decode_mapping(fields["after"])
        known = {name: fields[name] for name in ("trial", "examples", "seen", "source")}
        return cls(**known, before=before, after=after)


class Version(NamedTuple):
    """A member since a change, at so many examples seen: the stretches before, its hyperparameters."""

    seen: int
    past: tuple[Stretch, ...]
    hyperparameters: Mapping[str, Any]


@dataclass
class Lineage:
    """All members; feed it the `evolved` records in the order of the log.

    `asked` gives the hyperparameters that a trial was asked with. `judged` is the last boundary at which each
    was decided on, in examples.
    """

    asked: Callable[[int], Mapping[str, Any]] = field(compare=False)
    judged: dict[int, int] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    _versions: dict[int, list[Version]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Take in one record."""
        self.judged.update(dict(record["judged"]))
        for fields in record["changes"]:
            self.enter(Change.of(fields))

    def enter(self, change: Change) -> None:
        """Enter one change; of changes at one boundary the order does not matter."""
        origin = change.trial if change.source is None else change.source
        version = Version(change.seen, self.until(origin, change.seen), change.after)
        self._versions.setdefault(change.trial, []).append(version)
        self.changes.append(change)

    def now(self, trial: int) -> Version:
        """A trial as it is by now."""
        versions = self._versions.get(trial)
        return versions[-1] if versions else Version(0, (), self.asked(trial))

    def until(self, trial: int, seen: int) -> tuple[Stretch, ...]:
        """What the state that a trial had at a boundary was trained by, before it was decided on there.

        It may have taken another's state since: that is not what it had.
        """
        earlier = [each for each in self._versions.get(trial, ()) if each.seen < seen]
        version = earlier[-1] if earlier else Version(0, (), self.asked(trial))
        return (*version.past, Stretch(seen, trial, version.hyperparameters))
