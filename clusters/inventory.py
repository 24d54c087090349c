"""The file that names the Macs -> Inventory; pure but for reading it.

An `mlx.launch` host file, a JSON list of {"ssh", "ips"} or an object with `hosts`, is an inventory too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from clusters.errors import InventoryError
from clusters.schema import Environment, InventoryFile, NodeEntry, OwnerFirst, Ports, Section
from configfile import validation, yamlfile
from configfile.problems import ConfigError, Problem
from configfile.yamlfile import Document
from configfile.yamlfile import Path as KeyPath

WORKER_PORTS = 1000
"""How many ports from `ports.workers` on a node's worker processes may take."""

LAUNCH_KEYS = ("ssh", "ips", "rdma")
"""What a host of an mlx.launch host file has."""


@dataclass(frozen=True)
class Node:
    """One Mac of the inventory; `ssh` is how it is reached, `ip` how the others reach it.

    `quiet` are stretches of its day in minutes, `idle_s` how long its owner must have left it alone: outside
    of both no study runs there.
    """

    name: str
    ssh: str | None
    ip: str | None
    is_head: bool = False
    slots: int = 1
    tags: tuple[str, ...] = ()
    reserve_bytes: int = 4_000_000_000
    quiet: tuple[tuple[int, int], ...] = ()
    idle_s: float | None = None

    @property
    def address(self) -> str:
        """The address that other nodes use; only after `with_addresses`."""
        assert self.ip is not None, "an inventory's addresses are looked up before it is used"
        return self.ip


@dataclass(frozen=True)
class Inventory:
    """All the Macs, and what holds for each of them.

    `folder` and `python` are paths on the nodes, `~/` being the user's home there; `ssh_config` lies here.
    """

    file: Path
    name: str
    nodes: tuple[Node, ...]
    folder: str
    python: str
    own_environment: bool
    tls: bool
    ports: Ports
    ssh_config: Path | None
    hold: Literal["ssh", "daemon"]

    @property
    def head(self) -> Node:
        return next(node for node in self.nodes if node.is_head)

    @property
    def workers(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if not node.is_head)

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    @property
    def address(self) -> str:
        """Where Ray's head answers."""
        return f"{self.head.address}:{self.ports.gcs}"


def load(path: Path) -> Inventory:
    """The inventory in the file at `path`; raises InventoryError with every problem found."""
    try:
        text = path.read_bytes()
    except OSError as error:
        remedy = "give the path of an inventory, such as lab.yaml; clusters/lab.example.yaml shows one"
        problem = Problem(str(path), "must be a file that can be read", found=error.strerror, remedy=remedy)
        raise InventoryError([problem]) from error
    return parse(text, path)


def parse(text: str | bytes, path: Path) -> Inventory:
    """The inventory in `text`; raises InventoryError with every problem found, `path` named in each."""
    try:
        document = yamlfile.parse(text, str(path))
    except ConfigError as error:
        raise InventoryError(error.problems) from error
    file = _from_launch(document) if is_launch_file(document.value) else _from_inventory(document)
    found = sorted(_problems(document, file), key=lambda problem: problem.line or 0)
    if found:
        raise InventoryError(found)
    return _inventory(path, file)


def is_launch_file(value: Any) -> bool:
    """Whether this is a host file as `mlx.launch --hostfile` takes it."""
    return isinstance(value, list) or (isinstance(value, dict) and isinstance(value.get("hosts"), list))


def _from_inventory(document: Document) -> InventoryFile:
    if not isinstance(document.value, dict):
        raise InventoryError(
            [document.problem((), "must hold a mapping of keys", remedy="write `nodes: ...`")]
        )
    if "nodes" not in document.value and document.value.keys() & {"space", "objective"}:
        what, remedy = (
            "is a study file, not an inventory",
            "give the file that names your Macs, such as lab.yaml",
        )
        raise InventoryError([Problem(document.file, what, remedy=remedy)])
    try:
        return InventoryFile.model_validate(document.value)
    except ValidationError as error:
        raise InventoryError(list(validation.problems(document, (), error, _known_keys))) from error


_SECTIONS: dict[str, type[Section]] = {
    "": InventoryFile,
    "nodes": NodeEntry,
    "nodes.owner_first": OwnerFirst,
    **{
        name: kind
        for name, field in InventoryFile.model_fields.items()
        if isinstance(kind := field.annotation, type) and issubclass(kind, Section)
    },
}


def _known_keys(path: KeyPath) -> list[str]:
    place = ".".join(str(part) for part in path[:-1] if not isinstance(part, int))
    return [field.alias or name for name, field in _SECTIONS[place].model_fields.items()]


def _from_launch(document: Document) -> InventoryFile:
    """Each host by its SSH target, reached by the first of its addresses; the first one is the head."""
    prefix = _nodes_at(document)
    entries, found = [], []
    for index, host in enumerate(document.at(prefix)):
        path = (*prefix, index)
        if not isinstance(host, dict) or not isinstance(host.get("ssh"), str):
            rule, remedy = "must be a host of an mlx.launch host file", 'write {"ssh": ..., "ips": [...]}'
            found.append(document.problem(path, rule, remedy=remedy))
            continue
        strange = host.keys() - {*LAUNCH_KEYS}
        found += [validation.unknown(document, (*path, key), LAUNCH_KEYS) for key in strange]
        ips = host.get("ips") or [None]
        name = host["ssh"].rpartition("@")[2].removesuffix(".local")
        try:
            ip = ips[0] if isinstance(ips, list) else ips
            entries.append(NodeEntry.model_validate({"name": name, "ssh": host["ssh"], "ip": ip}))
        except ValidationError as error:
            found += validation.problems(document, path, error, lambda _: LAUNCH_KEYS)
    if not entries and not found:
        found = [document.problem(prefix, "must name at least one host")]
    if found:
        raise InventoryError(found)
    return InventoryFile(nodes=tuple(entries))


def _nodes_at(document: Document) -> KeyPath:
    """Where the list of nodes stands."""
    if isinstance(document.value, list):
        return ()
    return ("hosts",) if is_launch_file(document.value) else ("nodes",)


def _problems(document: Document, file: InventoryFile) -> Iterator[Problem]:
    """What is wrong between entries that are right each by itself."""
    prefix = _nodes_at(document)
    yield from _doubles(document, prefix, file.nodes)
    heads = [index for index, node in enumerate(file.nodes) if node.role == "head"]
    for index in heads[1:]:
        rule = f"must be one node's alone, and {file.nodes[heads[0]].name} is the head"
        yield document.problem((*prefix, index, "role"), rule, remedy="write role: worker")
    for index, node in enumerate(file.nodes):
        if node.ssh is None and node.ip is None:
            yield document.problem((*prefix, index), "must have `ssh`, `ip` or both", f"`{node.name}` alone")
    taken: dict[int, str] = {}
    for key, port in file.ports.model_dump().items():
        for number in (port, port + WORKER_PORTS - 1) if key == "workers" else (port,):
            if number in taken and taken[number] != key:
                rule = f"must differ from `ports.{taken[number]}`"
                yield document.problem(("ports", key), rule, remedy="choose another port")
            taken[number] = key
    workers = range(file.ports.workers, file.ports.workers + WORKER_PORTS)
    for key in ("gcs", "node_manager", "object_manager", "dashboard"):
        if getattr(file.ports, key) in workers[1:-1]:
            rule = f"must lie outside of the workers' ports, {workers[0]} to {workers[-1]}"
            yield document.problem(("ports", key), rule)


def _doubles(document: Document, prefix: KeyPath, nodes: Sequence[NodeEntry]) -> Iterator[Problem]:
    """Entries that say of two Macs what only one can be."""
    for key in ("name", "ssh", "ip"):
        counts = Counter(getattr(node, key) for node in nodes)
        seen: dict[str, str] = {}
        for index, node in enumerate(nodes):
            value = getattr(node, key)
            if value is None or counts[value] == 1:
                continue
            if value in seen:
                rule = (
                    f"must differ from that of {seen[value]}" if key != "name" else "must be one node's alone"
                )
                remedy = "two entries that are one Mac: take one out; two slots on one Mac: slots: 2"
                yield document.problem((*prefix, index, key), rule, f"`{value}`", remedy)
            seen.setdefault(value, node.name)


def _inventory(path: Path, file: InventoryFile) -> Inventory:
    any_head = any(node.role == "head" for node in file.nodes)
    nodes = tuple(
        Node(
            name=node.name,
            ssh=node.ssh,
            ip=node.ip,
            is_head=node.role == "head" or (not any_head and index == 0),
            slots=node.slots,
            tags=node.tags,
            reserve_bytes=node.reserve_bytes,
            quiet=node.quiet,
            idle_s=node.owner_first.idle_s if node.owner_first else None,
        )
        for index, node in enumerate(file.nodes)
    )
    environment: Environment = file.environment
    return Inventory(
        file=path,
        name=file.name,
        nodes=nodes,
        folder=environment.folder,
        python=environment.python or f"{environment.folder}/env/bin/python",
        own_environment=environment.python is None,
        tls=file.auth.tls == "auto",
        ports=file.ports,
        ssh_config=path.parent / file.ssh.config if file.ssh.config else None,
        hold=file.hold,
    )
