"""A report: metrics of one run at one boundary, and how it stands in the log. Its table column is its name.

To add a field: give it a default here, and a value where reports are made. Older records and parts then
have the default; nothing else names the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

from runlog.numbers import decode_mapping, decode_number


class RunId(NamedTuple):
    """One training run: a trial is one run per replicate; a run occupies one lane."""

    trial: int
    replicate: int


@dataclass(frozen=True)
class Report:
    """Metrics of one run at one boundary.

    `examples` is the nominal boundary r x report_every (the last one: the run's length), the same
    for every trial; `epoch` is examples / training-set size; `time` is seconds since 1970. `tokens_per_s`
    is how many tokens the run trained on in a second since the report before; None where there are none.
    """

    trial: int
    replicate: int
    examples: int
    epoch: float
    updates: int
    metrics: Mapping[str, float]
    attempt: int
    width: int
    lane: int
    host: str
    time: float
    tokens_per_s: float | None = None

    @property
    def run(self) -> RunId:
        return RunId(self.trial, self.replicate)

    def as_fields(self) -> dict[str, Any]:
        """The fields of its record."""
        return {**vars(self), "metrics": dict(self.metrics)}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The report that a record was written from; what the record lacks has its default."""
        names = [each.name for each in fields(cls) if each.name in record and each.name != "metrics"]
        known = {name: decode_number(record[name]) for name in names}
        return cls(**known, metrics=decode_mapping(record["metrics"]))
