"""What was found of a trial once its study had finished, and how it stands in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from runlog.numbers import decode_mapping


class Final(NamedTuple):
    """Metrics on the test part, means over replicates; pairs of what its model was asked and answered."""

    metrics: Mapping[str, float]
    samples: tuple[tuple[str, str], ...] = ()

    def as_fields(self) -> dict[str, Any]:
        """The fields of its record."""
        return {"metrics": dict(self.metrics), "samples": [list(pair) for pair in self.samples]}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """What a record was written from."""
        samples = tuple((str(asked), str(answered)) for asked, answered in record["samples"])
        return cls(decode_mapping(record["metrics"]), samples)
