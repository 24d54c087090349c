"""What a node is, read from the outputs of its own commands; pure. None is a fact that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from clusters.facts import darwin, linux
from clusters.facts.lines import first, number, whole
from clusters.facts.probes import Output


@dataclass(frozen=True)
class Facts:
    """One node. `translated` says that its shell runs under Rosetta; `sleep_min` 0 means never.

    `addresses` holds each interface's IPv4 addresses, all of them where `addresses_are_all`. `has_route` is
    False where the system says that there is no route to the head. `fast_cores` are all but efficiency cores.
    `heat` is in words. `firewall_apps` says which programs the firewall lets in.
    """

    system: str
    uuid: str | None = None
    chip: str | None = None
    memory_bytes: int | None = None
    swap_used_bytes: int | None = None
    fast_cores: int | None = None
    slow_cores: int | None = None
    native: bool | None = None
    translated: bool | None = None
    version: str | None = None
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    addresses_are_all: bool = False
    interface_to_head: str | None = None
    has_route: bool | None = None
    firewall: str | None = None
    firewall_apps: Mapping[str, bool] | None = None
    sleep_min: int | None = None
    on_battery: bool | None = None
    low_power: bool | None = None
    display: bool | None = None
    gpu_cores: int | None = None
    filevault: bool | None = None
    heat: str | None = None
    files_soft: int | None = None
    files_hard: int | None = None
    disk_free_bytes: int | None = None
    disk_mount: str | None = None

    @property
    def major(self) -> int | None:
        """The system's major version."""
        match = re.match(r"\d+", self.version or "")
        return int(match[0]) if match else None

    @property
    def fast_bfloat16(self) -> bool | None:
        """Whether the GPU multiplies bfloat16 at full speed: from the M3 on."""
        match = re.match(r"Apple M(\d+)", self.chip or "")
        return int(match[1]) >= 3 if match else None

    def interface_of(self, ip: str) -> str | None:
        """The interface that has this address."""
        return next((name for name, own in self.addresses.items() if ip in own), None)


def read_facts(system: str, outputs: Mapping[str, Output]) -> Facts:
    """The facts in what the probes of one node printed."""
    said = {name: whole(output.text) for name, output in outputs.items()}
    are_all = {name for name, output in outputs.items() if output.is_whole and output.code == 0}
    addresses = _addresses(said.get("addresses", ""))
    common = {
        "addresses": addresses or {},
        "addresses_are_all": addresses is not None and "addresses" in are_all,
        **_route(said.get("route", "")),
        **_files(said.get("files", "")),
        **_disk(said.get("disk", "")),
    }
    if system != "Darwin":
        return Facts(system, **{**common, **linux.read(said)})  # type: ignore[arg-type]
    displays = outputs["displays"].text if "displays" in outputs else ""
    return Facts(system, **{**common, **darwin.read(said, displays, are_all)})  # type: ignore[arg-type]


def _addresses(said: str) -> dict[str, tuple[str, ...]] | None:
    """Of macOS's `ifconfig`, whose lines of an interface are indented, or Linux's `ip -o -4 addr`.

    None where an address stands under no interface, or is none.
    """
    found: dict[str, dict[str, None]] = {}
    name = ""
    for line in said.splitlines():
        one = re.match(r"\d+: (\S+?)(?:@\S+)?\s+inet (\S+)", line)
        inet = one[2] if one else first(r"^\s+inet (\S+)", line)
        if inet is not None:
            interface = one[1] if one else name
            ip = re.fullmatch(r"(\d+(?:\.\d+){3})(?:/\d+)?", inet)
            if not interface or not ip:
                return None
            found.setdefault(interface, {})[ip[1]] = None
        elif line and not line[0].isspace():
            head = re.match(r"(\S+): flags=", line)
            name = head[1] if head else ""
    return {name: tuple(own) for name, own in found.items()}


def _route(said: str) -> dict[str, object]:
    interface = first(r"^\s*interface: (\S+)$", said) or first(r"\bdev (\S+)", said)
    none = re.search(r"(?i)not in table|unreachable|no route", said)
    return {"interface_to_head": interface, "has_route": True if interface else False if none else None}


def _files(said: str) -> dict[str, int | None]:
    return {f"files_{kind}": _limit(first(rf"^{kind} (\w+)$", said)) for kind in ("soft", "hard")}


def _limit(word: str | None) -> int | None:
    return 2**31 if word == "unlimited" else number(word)


def _disk(said: str) -> dict[str, object]:
    match = re.search(r"\s(\d+)\s+-?\d+\s+(\d+)\s+\d+%\s+(/.*)$", said, re.MULTILINE)
    if not match:
        return {}
    return {"disk_free_bytes": int(match[2]) * 1024, "disk_mount": match[3]}
