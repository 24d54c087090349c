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
    "machdep.cpu.brand_string hw.memsize hw.physicalcpu hw.perflevel0.physicalcpu hw.perflevel0.name "
    "hw.perflevel1.physicalcpu hw.perflevel1.name hw.optional.arm64 sysctl.proc_translated vm.swapusage"
)

LINUX_HARDWARE = "cat /proc/meminfo; nproc; grep -m1 'model name' /proc/cpuinfo"
MAC_HEAT = "/usr/bin/pmset -g therm; /usr/bin/notifyutil -g com.apple.system.thermalpressurelevel"
MAC_SLEEP = "/usr/bin/pmset -g | grep SleepDisabled; /usr/bin/pmset -g custom"
FILES = "echo soft $(ulimit -Sn); echo hard $(ulimit -Hn)"
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
    Probe("sleep", MAC_SLEEP, None),
    Probe("battery", "/usr/bin/pmset -g batt", None),
    Probe("displays", "/usr/sbin/system_profiler SPDisplaysDataType -json", None, 10),
    Probe("filevault", "/usr/bin/fdesetup status", None),
    Probe("heat", MAC_HEAT, LINUX_HEAT),
    Probe("files", FILES, FILES),
    Probe("disk", "df -Pk {folder}", "df -Pk {folder}"),
)  # fmt: skip


class Output(NamedTuple):
    """A command, its exit code (137 at its deadline) and what it printed, up to its end where `is_whole`."""

    command: str
    code: int
    text: str
    is_whole: bool = True


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
# It is removed before the first command runs: a trap at the end would run in subshells of bash 5, too.
# In the C locale numbers have a decimal point, and messages are in English.
_SCRIPT = """\
LC_ALL=C; export LC_ALL
said=$(mktemp) || exit 1
exec 3>"$said" 4<"$said"
rm -f "$said"
probe() {{
    printf '\\n@@@ %s\\n%s\\n@@@ says\\n' "$1" "$3"
    (eval "$3"; code=$?; printf '\\n@@@ whole\\n'; exit $code) </dev/null >&3 2>&1 3>&- 4<&- &
    asked=$!
    (sleep "$2"; kill -9 $asked $(pgrep -P $asked)) >/dev/null 2>&1 3>&- 4<&- &
    watch=$!
    wait $asked 2>/dev/null
    code=$?
    kill $watch >/dev/null 2>&1
    cat <&4
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

_ONE = re.compile(
    r"^@@@ (?P<name>\w+)\n(?P<command>.*?)\n@@@ says\n"
    r"(?P<text>.*?)(?P<whole>\n@@@ whole\n)?\n@@@ ended (?P<code>\d+)$",
    re.MULTILINE | re.DOTALL,
)
_SYSTEM = re.compile(r"^@@@ system (\w+)\n", re.MULTILINE)


def read(text: str) -> tuple[str, Mapping[str, Output]]:
    """The system's name, and each probe's output by its name; a probe that did not end is left out."""
    system = _SYSTEM.search(text)
    outputs = {
        found["name"]: Output(found["command"], int(found["code"]), found["text"], found["whole"] is not None)
        for found in _ONE.finditer(text)
    }
    return system[1] if system else "unknown", outputs
