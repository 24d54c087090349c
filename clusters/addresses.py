"""Looks up the addresses that an inventory leaves out."""

from __future__ import annotations

import socket
from dataclasses import replace

from clusters.errors import HostError
from clusters.inventory import Inventory, Node


def with_addresses(inventory: Inventory) -> Inventory:
    """The same inventory with an IPv4 address for every node. Raises HostError where a name has none."""
    return replace(inventory, nodes=tuple(_with_address(node) for node in inventory.nodes))


def _with_address(node: Node) -> Node:
    if node.ip is not None or node.ssh is None:
        return node
    host = node.ssh.rpartition("@")[2]
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        fix = f"write its address into the inventory: {{name: {node.name}, ip: ...}}"
        raise HostError(node.name, f"looking up {host}", str(error), fix) from error
    return replace(node, ip=str(found[0][4][0]))
