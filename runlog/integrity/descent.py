"""Whether members of a population copied what there was: decisions that other records contradict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runlog.lineage import KIND, Change, Lineage
from runlog.numbers import decode_mapping
from runlog.records import Record


def contradictions(records: Iterable[Record]) -> Iterator[str]:
    """What of the decisions cannot have been, in words, in the order of the log.

    A member is decided on once at a boundary, where it stands. What it copies had come as far, and what it
    had before is what its lineage says.
    """
    found = _Descent()
    for record in records:
        match record["event"]:
            case "asked":
                found.asked[record["trial"]] = decode_mapping(record["hyperparameters"])
            case "report":
                found.reported[record["trial"]] = max(
                    record["examples"], found.reported.get(record["trial"], 0)
                )
            case event if event == KIND:
                yield from found.decided(record)


class _Descent:
    """What the log has said so far."""

    def __init__(self) -> None:
        self.asked: dict[int, Mapping[str, Any]] = {}
        self.reported: dict[int, int] = {}
        self._lineage = Lineage(lambda number: self.asked.get(number, {}))

    def decided(self, record: Record) -> Iterator[str]:
        """What contradicts a record of decisions, which is entered then."""
        judged = dict(record["judged"])
        for number, examples in judged.items():
            stands, last = self.reported.get(number, 0), self._lineage.judged.get(number, 0)
            if stands != examples:
                yield f"trial {number} is decided on at {examples} examples and stands at {stands}"
            if last >= examples:
                yield f"trial {number} is decided on at {examples} examples after {last}"
        for change in map(Change.of, record["changes"]):
            yield from self._changed(change, judged)
        self._lineage.add(record)

    def _changed(self, change: Change, judged: Mapping[int, int]) -> Iterator[str]:
        what = f"trial {change.trial} changes at {change.examples} examples"
        if judged.get(change.trial) != change.examples:
            yield f"{what}, and is not decided on there"
        source = change.trial if change.source is None else change.source
        if change.source == change.trial:
            yield f"{what}, and copies itself"
        if self.reported.get(source, 0) < change.examples:
            yield f"{what}, and copies trial {source}, which stands at {self.reported.get(source, 0)}"
        elif dict(self._lineage.until(change.trial, change.seen)[-1].hyperparameters) != dict(change.before):
            yield f"{what}, and had other hyperparameters before"
