"""Errors sorted by what the user must do; each message names the node, what was seen and what to type.

ClusterError          the command ends with exit code 2 and prints only this text
├── InventoryError    the user edits the inventory; carries every problem found
└── HostError         a host fails a check or does not answer; says what ran, what it answered, what to type
"""

from __future__ import annotations

from configfile.problems import ConfigError


class ClusterError(Exception):
    """An error that the user can act on; printed without a traceback."""


class InventoryError(ClusterError, ConfigError):
    """The inventory has errors; `problems` holds all of them."""


class HostError(ClusterError):
    """A host fails: `ran` is what was tried there, `saw` the result, `fix` what to type."""

    def __init__(self, node: str, ran: str, saw: str, fix: str) -> None:
        super().__init__(node, ran, saw, fix)
        self.node, self.ran, self.saw, self.fix = node, ran, saw, fix

    def __str__(self) -> str:
        return f"{self.node}: {self.ran}: {self.saw}; {self.fix}"
