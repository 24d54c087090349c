"""What a node is, read from the outputs of its own commands; pure. None is a fact that cannot be read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from clusters.probes import Output


@dataclass(frozen=True)
class Facts:
    """One node. `translated` says that its shell runs under Rosetta; `sleep_min` 0 means never.

    `addresses` holds each interface's IPv4 addresses; `heat` is in words.
    `fast_cores` are performance cores, on Linux all.
    """

    system: str
    uuid: str | None = None
    chip: str | None = None
    memory_bytes: int | None = None
    swap_used_bytes: int | None = None
    fast_cores: int | None = None
    slow_cores: int = 0
    native: bool | None = None
    translated: bool = False
    version: str | None = None
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    interface_to_head: str | None = None
    firewall: str | None = None
    firewall_blocked: tuple[str, ...] = ()
    sleep_min: int | None = None
    on_battery: bool | None = None
    has_battery: bool | None = None
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


def read(system: str, outputs: Mapping[str, Output]) -> Facts:
    """The facts in what the probes of one node said."""
    said = {name: output.text for name, output in outputs.items()}
    common = {
        "addresses": _addresses(said.get("addresses", "")),
        "interface_to_head": _route(said.get("route", "")),
        **_files(said.get("files", "")),
        **_disk(said.get("disk", "")),
    }
    if system == "Darwin":
        return Facts(system, **{**common, **_mac(said)})  # type: ignore[arg-type]
    return Facts(system, **{**common, **_linux(said)})  # type: ignore[arg-type]


def _mac(said: Mapping[str, str]) -> dict[str, object]:
    values = dict(re.findall(r"^([\w.]+): (.*)$", said.get("hardware", ""), re.MULTILINE))
    fast = _number(values.get("hw.perflevel0.physicalcpu")) or _number(values.get("hw.physicalcpu"))
    swap = re.search(r"used = ([\d.]+)M", values.get("vm.swapusage", ""))
    uuid = re.search(r'"IOPlatformUUID" = "([0-9A-F-]+)"', said.get("uuid", ""))
    version = re.search(r"^ProductVersion:\s*(\S+)", said.get("version", ""), re.MULTILINE)
    return {
        "uuid": uuid[1] if uuid else None,
        "chip": values.get("machdep.cpu.brand_string"),
        "memory_bytes": _number(values.get("hw.memsize")),
        "swap_used_bytes": int(float(swap[1]) * 2**20) if swap else None,
        "fast_cores": fast,
        "slow_cores": _number(values.get("hw.perflevel1.physicalcpu")) or 0,
        "native": values.get("hw.optional.arm64") == "1",
        "translated": values.get("sysctl.proc_translated") == "1",
        "version": version[1] if version else None,
        "heat": _mac_heat(said.get("heat", "")),
        **_firewall(said.get("firewall", "")),
        **_power(said),
        **_displays(said.get("displays", "")),
        "filevault": {"On": True, "Off": False}.get(
            _first(r"FileVault is (On|Off)", said.get("filevault", ""))
        ),
    }


def _linux(said: Mapping[str, str]) -> dict[str, object]:
    hardware = said.get("hardware", "")
    kilobytes = {
        name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB", hardware, re.MULTILINE)
    }
    swap = kilobytes.get("SwapTotal", 0) - kilobytes.get("SwapFree", 0)
    return {
        "uuid": said.get("uuid", "").strip() or None,
        "chip": _first(r"^model name\s*: (.*)$", hardware) or said.get("machine"),
        "memory_bytes": kilobytes["MemTotal"] * 1024 if "MemTotal" in kilobytes else None,
        "swap_used_bytes": swap * 1024,
        "fast_cores": _number(_first(r"^(\d+)$", hardware)),
        "heat": _linux_heat(said.get("heat", "")),
        "native": True,
        "version": _first(r'^VERSION_ID="?([^"\n]*)', said.get("version", "")) or None,
    }


def _addresses(said: str) -> dict[str, tuple[str, ...]]:
    """Of macOS's `ifconfig`, whose lines of an interface are indented, or Linux's `ip -o -4 addr`."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in said.splitlines():
        one = re.match(r"\d+: (\S+?)(?:@\S+)?\s+inet ([\d.]+)", line)
        if one:
            found.setdefault(one[1], []).append(one[2])
        elif head := re.match(r"(\w+): flags=", line):
            name = head[1]
        elif inet := re.match(r"\s+inet ([\d.]+)", line):
            found.setdefault(name, []).append(inet[1])
    return {name: tuple(own) for name, own in found.items()}


def _route(said: str) -> str | None:
    return _first(r"^\s*interface: (\S+)", said) or _first(r"\bdev (\S+)", said) or None


def _files(said: str) -> dict[str, int | None]:
    words = [*said.split(), "", ""]
    return {"files_soft": _limit(words[0]), "files_hard": _limit(words[1])}


def _limit(word: str) -> int | None:
    return 2**31 if word == "unlimited" else _number(word)


def _disk(said: str) -> dict[str, object]:
    match = re.search(r"\s(\d+)\s+-?\d+\s+(\d+)\s+\d+%\s+(/.*)$", said, re.MULTILINE)
    if not match:
        return {}
    return {"disk_free_bytes": int(match[2]) * 1024, "disk_mount": match[3]}


def _firewall(said: str) -> dict[str, object]:
    """That it blocks all is a state of its own, or on some versions of macOS a switch beside it."""
    state = _first(r"Firewall is (enabled|disabled|blocking all)", said)
    if not state:
        return {}
    block_all = re.search(r"(?i)block all.*enabled|set to block all|is blocking all", said)
    words = "off" if state == "disabled" else "blocks all" if block_all else "on"
    blocked = re.findall(r"^\s*\d+\s*:\s*(\S.*?)\s*\n\s*\(\s*Block incoming", said, re.MULTILINE)
    return {"firewall": words, "firewall_blocked": tuple(blocked)}


def _power(said: Mapping[str, str]) -> dict[str, object]:
    """On mains, what counts is that part of `pmset -g custom`; a desktop has no other."""
    custom, battery = said.get("sleep", ""), said.get("battery", "")
    parts = re.split(r"^(Battery Power|AC Power):\s*$", custom, flags=re.MULTILINE)
    by_source = dict(zip(parts[1::2], parts[2::2], strict=False))
    mains = by_source.get("AC Power", custom)
    return {
        "sleep_min": _number(_first(r"^\s*sleep\s+(\d+)", mains)),
        "on_battery": "'Battery Power'" in battery if battery else None,
        "has_battery": "InternalBattery" in battery if battery else None,
    }


def _mac_heat(said: str) -> str | None:
    """Of `pmset -g therm`: what is left of the processor's speed, or that nothing was ever held back."""
    left = re.search(r"CPU_Speed_Limit\s*=\s*(\d+)", said)
    if left:
        return "not throttled" if left[1] == "100" else f"throttled to {left[1]} %"
    return "not throttled" if "No thermal warning level" in said else None


def _linux_heat(said: str) -> str | None:
    """The warmest of the zones, which are in thousandths of a degree."""
    degrees = [int(zone) / 1000 for zone in re.findall(r"^(\d+)$", said, re.MULTILINE)]
    return f"{max(degrees):.0f} °C" if degrees else None


def _displays(said: str) -> dict[str, object]:
    with suppress(ValueError, KeyError, IndexError, TypeError):
        gpus = json.loads(said[said.index("{") :])["SPDisplaysDataType"]
        cores = _number(gpus[0].get("sppci_cores"))
        return {"display": any(gpu.get("spdisplays_ndrvs") for gpu in gpus), "gpu_cores": cores}
    return {}


def _first(pattern: str, said: str) -> str:
    match = re.search(pattern, said, re.MULTILINE)
    return match[1].strip() if match else ""


def _number(word: str | None) -> int | None:
    return int(word) if word and word.strip().isdigit() else None
