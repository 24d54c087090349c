"""A snapshot: a checkpoint file and the run it belongs to, and how it stands in the log.

To add a field: give it a default here, and a value where snapshots are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from runlog.numbers import decode_number
from runlog.report import RunId


@dataclass(frozen=True)
class Snapshot:
    """A complete checkpoint of one run as a file on the disk of the host that wrote it.

    `value` is the objective that was reported where it stands, None where nothing was.
    """

    trial: int
    replicate: int
    examples: int
    path: str
    bytes: int
    sha256: str
    final: bool = False
    value: float | None = None

    @property
    def run(self) -> RunId:
        return RunId(self.trial, self.replicate)

    def as_fields(self) -> dict[str, Any]:
        """The fields of its record."""
        return dict(vars(self))

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The snapshot that a record was written from; what the record lacks has its default."""
        known = {each.name: decode_number(record[each.name]) for each in fields(cls) if each.name in record}
        return cls(**known)
