"""What a check found; plain values that go to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """AMBER: not as claimed, but within what the page on lanes allows for, or not measurable here."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True)
class Result:
    """One check: `claim` is what should hold, `saw` what did; `value` is a number to compare chips by."""

    group: str
    name: str
    claim: str
    status: Status
    saw: str
    value: float | None = None
    unit: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Result:
        return cls(**{**held, "status": Status(held["status"])})


def agreement(difference: float, *, exact: bool, tolerance: float) -> tuple[Status, str]:
    """How two results that should be equal are said, by their largest relative difference.

    `exact` says that they must agree bit for bit here; elsewhere a small difference is amber.
    """
    if difference == 0:
        return Status.GREEN, "bit for bit"
    saw = f"differ by {difference:.1e}"
    return (Status.AMBER if not exact and difference <= tolerance else Status.RED), saw
