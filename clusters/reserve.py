"""`reserve`: a node is its owner's for a while, and no study's. The reservation lies on the node itself.

It lasts by the node's own clock, and ends there whatever becomes of studies, drivers or Ray.
"""

from __future__ import annotations

import getpass
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from clusters import paths
from clusters.addresses import with_addresses
from clusters.ask import ask
from clusters.errors import ClusterError
from clusters.inventory import Inventory, Node
from clusters.remote import on_all
from configfile.nearest import remedy
from configfile.quantities import parse_duration

ASK_S = 25.0
LONGEST_S = 30 * 86_400.0
CLOCKS_S = 60.0
"""Clocks that differ by more than this are named: times of day are the node's own."""


@dataclass(frozen=True)
class Reservation:
    """How a node stands: reserved `by` whom and for how long, None where it is not, or why that is not known.

    `until` is the node's own time of day; `note` says what a person should know besides.
    """

    node: str
    by: str | None = None
    left_s: float | None = None
    until: str | None = None
    note: str = ""
    error: str = ""

    @classmethod
    def of(cls, node: str, said: Mapping[str, Any] | None, note: str = "") -> Self:
        """What a program of `nodeside` says of a node's reservation."""
        found = said or {}
        return cls(node, found.get("by"), found.get("left_s"), found.get("until"), note)

    def __str__(self) -> str:
        if self.error:
            return self.error
        if self.by is None:
            return f"{self.node}: free"
        until = f" for {lasting(self.left_s)}, until {self.until} there" if self.left_s is not None else ""
        return f"{self.node}: reserved by {self.by}{until}"


def check_asked(node: str | None, lasts: str | None, *, release: bool) -> None:
    """Raise ClusterError where what was asked for does not fit together."""
    if node is None and (lasts is not None or release):
        raise ClusterError("reserve: name the node, such as: sweep cluster reserve lab.yaml mini1 --for 2h")
    if node is not None and (lasts is None) == (not release):
        raise ClusterError(f"reserve {node}: pass one of --for TIME, such as --for 2h, and --release")


def seconds_of(text: str) -> float:
    """`2h` as seconds. Raises ClusterError for what is none, or too long."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ClusterError(f"--for: {error}; found `{text}`") from error
    if seconds > LONGEST_S:
        raise ClusterError(f"--for: must be at most 30d; found `{text}`. Take the node out of the inventory")
    return seconds


def reserve(inventory: Inventory, name: str, seconds: float) -> Reservation:
    """Reserve a node from now on. Raises ClusterError where it is not there, not reached, or reserved."""
    node = _node(inventory, name)
    said = _ask(inventory, node, "reserve", seconds=seconds, by=f"{getpass.getuser()}@{_here()}")
    found = _reservation(node, said)
    if not said["done"]:
        release = f"python -m sweep cluster reserve {inventory.file} {name} --release"
        left = f" for another {lasting(found.left_s)}" if found.left_s is not None else ""
        raise ClusterError(f"{name}: is already reserved{left}, by {found.by}. To end that: {release}")
    return found


def release(inventory: Inventory, name: str) -> Reservation:
    """Give a node back. Raises ClusterError where it is not there, not reached, or not reserved."""
    node = _node(inventory, name)
    said = _ask(inventory, node, "release")
    if not said["done"]:
        raise ClusterError(
            f"{name}: is not reserved, so there is nothing to release. "
            f"python -m sweep cluster reserve {inventory.file} lists what is"
        )
    return _reservation(node, said)


def reservations(inventory: Inventory) -> list[Reservation]:
    """How all nodes stand, in the inventory's order; one that does not answer says why."""
    said, lost = on_all(inventory.nodes, lambda node: _ask(inventory, node, "look"))
    return [
        Reservation(node.name, error=str(lost[node.name]))
        if node.name in lost
        else _reservation(node, said[node.name])
        for node in inventory.nodes
    ]


def lasting(seconds: float | None) -> str:
    """`1 h 20 min`, `5 min` or `40 s`."""
    if seconds is None:
        return "an unknown time"
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _node(inventory: Inventory, name: str) -> Node:
    names = [node.name for node in inventory.nodes]
    if name not in names:
        raise ClusterError(f"{inventory.file}: there is no node {name}; {remedy(name, names)}")
    (node,) = with_addresses(replace(inventory, nodes=(inventory.node(name),))).nodes
    return node


def _ask(inventory: Inventory, node: Node, do: str, **more: Any) -> dict[str, Any]:
    config = {"file": paths.reservation(inventory), "do": do, "clock": time.time(), **more}
    return ask(inventory, node, "lifecycle.reserve", config, deadline_s=ASK_S)


def _reservation(node: Node, said: dict[str, Any]) -> Reservation:
    ahead_s = said["ahead_s"]
    note = ""
    if abs(ahead_s) > CLOCKS_S:
        way = "ahead of" if ahead_s > 0 else "behind"
        note = f"{node.name}: its clock is {lasting(abs(ahead_s))} {way} this machine's; it counts by its own"
    return Reservation.of(node.name, said["reserved"], note)


def _here() -> str:
    return platform.node().partition(".")[0]
