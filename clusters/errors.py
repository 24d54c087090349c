"""Errors sorted by who acts next; each message names the node, what was seen and what to type.

ClusterError          the command ends with exit code 2, its text is all a person sees
├── InventoryError    the user edits the inventory; carries every problem found
└── HostError         a host is wrong or does not answer; says what ran, what it said, what to type
"""

from __future__ import annotations

from configfile.problems import ConfigError


class ClusterError(Exception):
    """An error that a person can act on; its text stands alone, without a traceback."""


class InventoryError(ClusterError, ConfigError):
    """The inventory cannot be used as it stands; `problems` holds all that was found."""


class HostError(ClusterError):
    """A host is wrong: `ran` is what was tried there, `saw` what came of it, `cure` what to type."""

    def __init__(self, node: str, ran: str, saw: str, cure: str) -> None:
        super().__init__(node, ran, saw, cure)
        self.node, self.ran, self.saw, self.cure = node, ran, saw, cure

    def __str__(self) -> str:
        return f"{self.node}: {self.ran}: {self.saw}; {self.cure}"
