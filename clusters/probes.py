"""System commands run on a node in one go, and their outputs, told apart again.

The outputs are kept as they are, so that tests can give those of Macs that are not at hand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

System = Literal["Darwin", "Linux"]

SYSCTLS = (
    "machdep.cpu.brand_string hw.memsize hw.physicalcpu hw.perflevel0.physicalcpu hw.perflevel1.physicalcpu "
    "hw.optional.arm64 sysctl.proc_translated vm.swapusage"
)

LINUX_HARDWARE = "cat /proc/meminfo; nproc; grep -m1 'model name' /proc/cpuinfo"
LINUX_HEAT = "cat /sys/class/thermal/thermal_zone*/temp"
_FIREWALL = "/usr/libexec/ApplicationFirewall/socketfilterfw"


FIREWALL = "; ".join(f"{_FIREWALL} --{word}" for word in ("getglobalstate", "getblockall", "listapps"))


@dataclass(frozen=True)
class Probe:
    """A command by system, None where there is none; `{head}` stands for the head's address."""

    name: str
    darwin: str | None
    linux: str | None
    deadline_s: int = 5


PROBES = (
    Probe("uuid", "/usr/sbin/ioreg -rd1 -c IOPlatformExpertDevice", "cat /etc/machine-id"),
    Probe("hardware", f"/usr/sbin/sysctl {SYSCTLS}", LINUX_HARDWARE),
    Probe("machine", "uname -m", "uname -m"),
    Probe("version", "/usr/bin/sw_vers", "cat /etc/os-release"),
    Probe("addresses", "/sbin/ifconfig -a", "ip -o -4 addr show"),
    Probe("route", "/sbin/route -n get {head}", "ip route get {head}"),
    Probe("firewall", FIREWALL, None),
    Probe("sleep", "/usr/bin/pmset -g custom", None),
    Probe("battery", "/usr/bin/pmset -g batt", None),
    Probe("displays", "/usr/sbin/system_profiler SPDisplaysDataType -json", None, 10),
    Probe("filevault", "/usr/bin/fdesetup status", None),
    Probe("heat", "/usr/bin/pmset -g therm", LINUX_HEAT),
    Probe("files", "ulimit -Sn; ulimit -Hn", "ulimit -Sn; ulimit -Hn"),
    Probe("disk", "df -Pk {folder}", "df -Pk {folder}"),
)  # fmt: skip


class Output(NamedTuple):
    """What a command was, how it ended and what it said; code 137 is one that took too long."""

    command: str
    code: int
    text: str


def script(*, head: str, folder: str, only: Collection[str] | None = None) -> str:
    """Shell text that runs the probes of the system it finds itself on; `folder` as the shell reads it."""
    branches = {
        system: "\n".join(
            f"probe {probe.name} {probe.deadline_s} {_quoted(command)}"
            for probe, command in _commands(system, head, folder)
            if only is None or probe.name in only
        )
        for system in ("Darwin", "Linux")
    }
    return _SCRIPT.format(**branches)


def _commands(system: str, head: str, folder: str) -> list[tuple[Probe, str]]:
    chosen = [(probe, probe.darwin if system == "Darwin" else probe.linux) for probe in PROBES]
    fill = {"{head}": head, "{folder}": _NEAREST.format(folder)}
    found = []
    for probe, command in chosen:
        if command is not None:
            for mark, value in fill.items():
                command = command.replace(mark, value)
            found.append((probe, command))
    return found


# Where the folder does not exist yet, the nearest one above it.
_NEAREST = '$(d={}; while [ ! -e "$d" ]; do d=$(dirname "$d"); done; echo "$d")'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


# Outputs go by way of a file: a command that hangs would hold the connection open. So would the watchdog's.
_SCRIPT = """\
said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT
probe() {{
    printf '\\n@@@ %s\\n%s\\n@@@ says\\n' "$1" "$3"
    (eval "$3") </dev/null >"$said" 2>&1 &
    asked=$!
    (sleep "$2"; kill -9 $asked $(pgrep -P $asked)) >/dev/null 2>&1 &
    watch=$!
    wait $asked 2>/dev/null
    code=$?
    kill $watch >/dev/null 2>&1
    cat "$said"
    printf '\\n@@@ ended %s\\n' $code
}}
system=$(uname -s)
echo "@@@ system $system"
case $system in
Darwin)
{Darwin}
;;
Linux)
{Linux}
;;
esac
"""

_ONE = re.compile(r"^@@@ (\w+)\n(.*?)\n@@@ says\n(.*?)\n?^@@@ ended (\d+)$", re.MULTILINE | re.DOTALL)
_SYSTEM = re.compile(r"^@@@ system (\w+)$", re.MULTILINE)


def read(text: str) -> tuple[str, Mapping[str, Output]]:
    """The system's name, and each probe's output by its name; what was cut off is left out."""
    system = _SYSTEM.search(text)
    outputs = {
        match[1]: Output(match[2], int(match[4]), match[3].rstrip("\n")) for match in _ONE.finditer(text)
    }
    return system[1] if system else "unknown", outputs
