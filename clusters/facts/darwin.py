"""What macOS's commands say of a node, in the words of macOS 11 to 26; pure.

Whatever is missing or worded otherwise is None: unknown. tests/data/mac holds outputs of real Macs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from clusters.facts.lines import first, number

LEVELS = ("Performance", "Efficiency", "Super")
"""Kinds of cores; of any other it is not known whether they are fast."""

PRESSURE = {1: "moderate", 2: "heavy", 3: "critical", 4: "sleeping"}
"""Levels of thermal pressure. At 0 either all is well or the system does not say: unknown."""


def read(said: Mapping[str, str], displays: str, whole: Collection[str]) -> dict[str, object]:
    """Facts by name, of outputs by the names of their probes, those of `whole` printed to their ends.

    `displays` is JSON, and not of lines.
    """
    hardware = said.get("hardware", "")
    values = dict(re.findall(r"^([\w.]+): (.*)$", hardware, re.MULTILINE))
    return {
        "uuid": first(
            r'"IOPlatformUUID" = "([0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})"', said.get("uuid", "")
        ),
        "chip": values.get("machdep.cpu.brand_string"),
        "memory_bytes": number(values.get("hw.memsize")),
        "swap_used_bytes": _swap(values.get("vm.swapusage", "")),
        **_cores(values),
        **_kind(values, hardware),
        "version": first(r"^ProductVersion:\s*(\d+(?:\.\d+)*)\s*$", said.get("version", "")),
        "heat": _heat(said.get("heat", "")),
        **_firewall(said.get("firewall", "")),
        **_power(said.get("sleep", ""), said.get("battery", ""), is_whole="sleep" in whole),
        **_displays(displays),
        "filevault": {"On": True, "Off": False}.get(
            first(r"^FileVault is (On|Off)\b", said.get("filevault", "")) or ""
        ),
    }


def _swap(usage: str) -> int | None:
    """In a locale with a decimal comma the number has one."""
    used = re.search(r"used = (\d+)[.,](\d+)M\s", usage)
    return int(float(f"{used[1]}.{used[2]}") * 2**20) if used else None


def _cores(values: Mapping[str, str]) -> dict[str, int | None]:
    """Cores that are not efficiency cores, and those that are; an M5 Pro has none of the latter.

    The levels must add up to all cores: else the output was cut off between them.
    """
    levels: dict[str, int] = {}
    for level in range(4):
        count = number(values.get(f"hw.perflevel{level}.physicalcpu"))
        name = values.get(f"hw.perflevel{level}.name", "").strip()
        if count is not None and name in LEVELS:
            levels[name] = levels.get(name, 0) + count
    total = number(values.get("hw.physicalcpu") or values.get("hw.ncpu"))
    if not levels:
        intel = values.get("machdep.cpu.brand_string", "").startswith("Intel")
        return {"fast_cores": total if intel else None, "slow_cores": 0 if intel else None}
    if sum(levels.values()) != total:
        return {"fast_cores": None, "slow_cores": None}
    slow = levels.get("Efficiency", 0)
    return {"fast_cores": sum(levels.values()) - slow, "slow_cores": slow}


def _kind(values: Mapping[str, str], hardware: str) -> dict[str, bool | None]:
    """Whether it is Apple silicon, and whether the shell runs under Rosetta."""

    def flag(name: str) -> bool | None:
        if f"unknown oid '{name}'" in hardware:
            return False
        return {"1": True, "0": False}.get(values.get(name, ""))

    native, translated = flag("hw.optional.arm64"), flag("sysctl.proc_translated")
    return {"native": True if translated else native, "translated": translated}


def _heat(said: str) -> str | None:
    """How far the processor is held back. Apple silicon prints "no warning", hot or not: unknown."""
    left = number(first(r"^\s*CPU_Speed_Limit\s*=\s*(\d+)$", said))
    if left is not None:
        return "not throttled" if left >= 100 else f"throttled to {left} %"
    level = number(first(r"^com\.apple\.system\.thermalpressurelevel (\d+)$", said))
    return f"throttled, {PRESSURE[level]} thermal pressure" if level in PRESSURE else None


def _firewall(said: str) -> dict[str, object]:
    """State 2 blocks all. Older systems say 1 then, too, and have a switch beside it."""
    state = number(first(r"^Firewall is .*\(State = (\d)\)$", said))
    switch = first(r"(?i)^.*block all\b.*\b(enabled|disabled)\b", said)
    words = None
    if state == 0:
        words = "off"
    elif state == 2 or (state == 1 and switch and switch.lower() == "enabled"):
        words = "blocks all"
    elif state == 1 and switch:
        words = "on"
    return {"firewall": words, "firewall_apps": _apps(said)}


def _apps(said: str) -> Mapping[str, bool] | None:
    """Programs with a rule, and whether they are let in; None where the list is not whole."""
    total = number(first(r"(?i)^(?:ALF: )?total number of apps = (\d+)\s*$", said))
    found = re.findall(
        r"^\s*\d+\s*:\s*(\S.*?)\s*\n\s*\(\s*(Allow|Block) incoming connections", said, re.MULTILINE
    )
    rules = {path: rule == "Allow" for path, rule in found}
    return rules if total == len(found) == len(rules) else None


def _power(sleep: str, battery: str, *, is_whole: bool) -> dict[str, object]:
    """On mains power the part of `pmset -g custom` that is so called counts.

    A setting that a Mac does not have is missing there: only a whole output says that there is none.
    """
    source = first(r"^Now drawing from '(.*)'$", battery)
    parts = re.split(r"^(Battery Power|AC Power|UPS Power):\s*$", sleep, flags=re.MULTILINE)
    mains = dict(zip(parts[1::2], parts[2::2], strict=False)).get("AC Power", "")
    sleep_min = number(first(r"^\s*sleep\s+(\d+)\b", mains))
    modes = set(re.findall(r"^\s*(?:low)?powermode\s+(\d+)\s*$", mains, re.MULTILINE))
    low = modes == {"1"} if len(modes) == 1 else None
    if is_whole and not modes and sleep_min is not None:
        low = False  # a Mac without this mode
    never = first(r"^\s*SleepDisabled\s+(\d+)$", parts[0]) == "1"
    return {
        "sleep_min": 0 if never else sleep_min,
        "on_battery": {"Battery Power": True, "AC Power": False}.get(source or ""),
        "low_power": low,
    }


def _displays(said: str) -> dict[str, object]:
    """Lines of stderr may stand before the JSON object, or after it."""
    found = _json_object(said)
    try:
        gpus = found["SPDisplaysDataType"]
        return {
            "display": any(len(gpu.get("spdisplays_ndrvs", [])) for gpu in gpus),
            "gpu_cores": number(gpus[0].get("sppci_cores")),
        }
    except (KeyError, IndexError, TypeError, AttributeError):
        return {}


def _json_object(said: str) -> Any:
    for start in re.finditer(r"^\s*\{", said, re.MULTILINE):
        try:
            found, _ = json.JSONDecoder().raw_decode(said, start.end() - 1)
        except ValueError:
            continue
        return found
    return {}
