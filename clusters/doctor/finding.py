"""The result of one check on one node. Its status decides whether the checks after it run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """After GREEN and WARN the next check runs; after RED the rest are SKIPPED."""

    GREEN = "green"
    WARN = "warn"
    RED = "red"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One check on one node: what it ran, what it saw and, where something is wrong, what to type."""

    node: str
    check: str
    status: Status
    ran: str = ""
    saw: str = ""
    fix: str = ""

    def as_json(self) -> dict[str, str]:
        return {
            "node": self.node,
            "check": self.check,
            "status": self.status.value,
            "ran": self.ran,
            "saw": self.saw,
            "fix": self.fix,
        }
