"""What a node must be before Ray is started there, and what it is given, by supervisor or daemon; pure.

`hello` is what `nodeside/parts/hello.py` answered on the node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from clusters import paths
from clusters.errors import HostError
from clusters.facts import probes
from clusters.facts.node import Facts
from clusters.inventory import Inventory, Node
from clusters.lifecycle import raystart
from clusters.lifecycle.certificates import Authority
from clusters.remote import shell_path

START_ONLY = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
"""For `ray start` alone: `down` does not wait for running work."""

PROBES = ("hardware", "machine", "version")


def question(inventory: Inventory, node: Node) -> dict[str, Any]:
    """What `nodeside/parts/hello.py` is asked."""
    head, folder = inventory.head.address, shell_path(inventory.folder)
    return {
        "is_head": node.is_head,
        "ip": node.address,
        "ports": raystart.ports_of(inventory, node),
        "local_ports": [inventory.ports.dashboard] if node.is_head else [],
        "lock": paths.lock(inventory),
        "token": paths.token(inventory),
        "probes": probes.script(head=head, folder=folder, only=PROBES),
    }


def order(inventory: Inventory, node: Node, facts: Facts) -> dict[str, Any]:
    """What `nodeside/parts/starting.py` takes."""
    return {
        "environment": {**paths.environment(inventory), **START_ONLY},
        "project": paths.project(inventory),
        "start": raystart.arguments(inventory, node, facts),
    }


def files(inventory: Inventory, node: Node, token: str, authority: Authority | None) -> dict[str, str]:
    """What the node needs in order to connect, by path; readable by their owner alone."""
    found = {paths.token(inventory): token}
    if authority is not None:
        issued = authority.issue(node.name, node.address)
        certificate, key, trusted = paths.tls(inventory)
        found |= {certificate: issued.certificate, key: issued.key, trusted: authority.pem}
    return found


def about(facts: Facts) -> dict[str, Any]:
    """What is reported of a node that came up."""
    return {"chip": facts.chip, "memory_bytes": facts.memory_bytes, "system": facts.system}


def require_ports(node: Node, hello: Mapping[str, Any]) -> None:
    """Raise HostError where a port that Ray will use is not free."""
    wrong = {port: how for port, how in hello["ports"].items() if how != "listening"}
    taken = [port for port, how in wrong.items() if how == "taken"]
    if taken:
        fix = f"sudo lsof -nP -iTCP:{taken[0]} -sTCP:LISTEN shows the program; or choose others under `ports`"
        raise HostError(node.name, "its ports", f"in use: {', '.join(taken)}", fix)
    for port, how in wrong.items():
        saw = f"{how} on {node.address}:{port}"
        raise HostError(node.name, "its ports", saw, "correct `ip` or `ports` in the inventory")


def require_versions(
    inventory: Inventory, node: Node, hello: Mapping[str, Any], head: Mapping[str, str | None]
) -> None:
    """Raise HostError where Python's patch, Ray or MLX differ from the head's."""
    versions = hello["versions"]
    differing = [name for name in head if versions[name] != head[name]]
    if differing:
        own = ", ".join(f"{name} {versions[name] or 'none'}" for name in differing)
        wanted = ", ".join(f"{name} {head[name] or 'none'}" for name in differing)
        saw = f"{own}, but {inventory.head.name} has {wanted}"
        raise HostError(node.name, inventory.python, saw, verb(inventory, "sync"))


def is_token(hello: Mapping[str, Any], token: str) -> bool:
    """Whether the node has just this one."""
    return bool(hello["token_sha256"] == hashlib.sha256(token.encode()).hexdigest())


def note(node: Node, hello: Mapping[str, Any], token: str) -> str:
    """Says so where another token was there and was replaced."""
    if node.is_head or hello["token_sha256"] is None or is_token(hello, token):
        return ""
    return "its token differed from the head's and was replaced"


def held(inventory: Inventory, node: Node, holder: Mapping[str, Any]) -> HostError:
    """The node is already held, by another supervisor or by its own daemon."""
    by = holder.get("by") or "an agent that is starting"
    if by == paths.DAEMON:
        fix = f"stop that first: {verb(inventory, 'down')}"
        return HostError(node.name, "its lock", "already up, held by its own daemon", fix)
    fix = f"left as it is; to hold it from here, stop it there first: {verb(inventory, 'down')}"
    return HostError(node.name, "its lock", f"already up, held by {by}", fix)


def verb(inventory: Inventory, name: str) -> str:
    """What to type."""
    return f"python -m sweep cluster {name} {inventory.file}"
