"""What a check says of a node: a finding. Its status decides whether the checks after it are made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """GREEN and WARN let the next check be made; RED does not, and leaves those after it SKIPPED."""

    GREEN = "green"
    WARN = "warn"
    RED = "red"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One check on one node: what it ran, what it saw, and where something is wrong what to type."""

    node: str
    check: str
    status: Status
    ran: str = ""
    saw: str = ""
    cure: str = ""

    def as_json(self) -> dict[str, str]:
        return {
            "node": self.node,
            "check": self.check,
            "status": self.status.value,
            "ran": self.ran,
            "saw": self.saw,
            "cure": self.cure,
        }
