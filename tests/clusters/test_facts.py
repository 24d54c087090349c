"""Outputs of real Macs, read whole and cut off anywhere: what is read is right, or it is unknown."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from clusters.facts.node import Facts, read_facts
from clusters.facts.probes import Output

RECORDED = Path(__file__).parents[1] / "data" / "mac"
NO_FACTS = Facts("Darwin")

EXPECTED: dict[str, dict[str, Any]] = {
    "addresses-m3-macos14": {"addresses": {"lo0": ("127.0.0.1",)}},
    "battery-desktop": {"on_battery": False},
    "battery-laptop-discharging": {"on_battery": True},
    "displays-m3pro-two-plus-one": {"display": True},
    "displays-noise-after": {"display": True, "gpu_cores": 10},
    "displays-noise-before-macos26": {"display": True, "gpu_cores": 10},
    "firewall-listapps-macos15": {
        "firewall_apps": {
            "/usr/libexec/sshd-session": False,
            "/usr/libexec/sshd-auth": False,
            "/usr/libexec/remoted": True,
            "/usr/bin/python3": True,
            "/usr/bin/ruby": True,
            "/usr/sbin/cupsd": True,
            "/usr/libexec/sharingd": True,
            "/usr/libexec/sshd-keygen-wrapper": True,
            "/usr/sbin/smbd": True,
        }
    },
    "firewall-state2-macos11": {"firewall": "blocks all"},
    "firewall-state2-macos15": {"firewall": "blocks all"},
    "hardware-m4pro": {"memory_bytes": 25769803776, "fast_cores": 8, "slow_cores": 4},
    "hardware-swap-comma": {"swap_used_bytes": int(379.25 * 2**20)},
    "hardware-swap-dot": {"swap_used_bytes": int(2743.5 * 2**20)},
    "heat-intel-macos11": {"heat": "not throttled"},
    "heat-m1pro-macos12": {},
    "sleep-m1max-macos14-part": {},
    "uuid-part": {"uuid": "11111111-2222-3333-4444-555555555555"},
}
"""What is read of each; everything else stays unknown."""

M5 = """\
machdep.cpu.brand_string: Apple M5 Max
hw.memsize: 137438953472
hw.physicalcpu: 18
hw.perflevel0.physicalcpu: 6
hw.perflevel0.name: Super
hw.perflevel1.physicalcpu: 12
hw.perflevel1.name: Performance
hw.optional.arm64: 1
sysctl.proc_translated: 0
vm.swapusage: total = 1024,00M  used = 379,25M  free = 644,75M  (encrypted)
"""
SLEEP = """\
 SleepDisabled\t\t1
Battery Power:
 sleep                1
 powermode            1
AC Power:
 Sleep On Power Button 1
 sleep                10 (sleep prevented by powerd)
 powermode            1
 womp                 1
"""
NOT_RECORDED: dict[str, tuple[str, dict[str, Any]]] = {
    "hardware": (
        M5,
        {
            "chip": "Apple M5 Max",
            "memory_bytes": 137438953472,
            "fast_cores": 18,
            "slow_cores": 0,
            "native": True,
            "translated": False,
            "swap_used_bytes": int(379.25 * 2**20),
        },
    ),
    "sleep": (SLEEP, {"sleep_min": 0, "low_power": True}),
    "filevault": ("FileVault is On.\n", {"filevault": True}),
    "version": (
        "ProductName:\t\tmacOS\nProductVersion:\t\t26.1\nBuildVersion:\t\t25B78\n",
        {"version": "26.1"},
    ),
    "files": ("soft 256\nhard unlimited\n", {"files_soft": 256, "files_hard": 2**31}),
    "firewall": (
        "Firewall is enabled. (State = 1)\nFirewall has block all state set to disabled.\n",
        {"firewall": "on"},
    ),
}


def recorded(name: str) -> tuple[str, str]:
    """The probe that printed it, and what it printed without the lines on where it is from."""
    lines = (RECORDED / f"{name}.txt").read_text().splitlines(keepends=True)
    return name.partition("-")[0], "".join(line for line in lines if not line.startswith("## "))


CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    **{name: (*recorded(name), expected) for name, expected in EXPECTED.items()},
    **{probe: (probe, text, expected) for probe, (text, expected) in NOT_RECORDED.items()},
}


def known(probe: str, text: str, *, is_whole: bool) -> dict[str, Any]:
    """The facts that are read of one output; neither unknown ones nor empty mappings."""
    found = read_facts("Darwin", {probe: Output("", 0 if is_whole else 137, text, is_whole)})
    values = {each.name: getattr(found, each.name) for each in fields(found)}
    del values["addresses_are_all"]
    return {name: value for name, value in values.items() if value not in (None, {}, "Darwin")}


def test_every_recorded_output_is_read_here() -> None:
    found = {path.stem for path in RECORDED.glob("*.txt") if not path.stem.startswith("note-")}
    assert found == EXPECTED.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_whole_output_is_read(name: str) -> None:
    probe, text, expected = CASES[name]
    assert known(probe, text, is_whole=True) == expected


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("is_whole", [True, False])
def test_cut_off_at_any_byte_or_before_any_line_a_fact_is_right_or_unknown(name: str, is_whole: bool) -> None:
    probe, text, expected = CASES[name]
    lines = text.splitlines(keepends=True)
    ends = [text[:end] for end in range(len(text))]
    without_one = ["".join(lines[:at] + lines[at + 1 :]) for at in range(len(lines))]
    for cut in [*ends, *(without_one if probe not in ("sleep", "addresses") else [])]:
        found = known(probe, cut, is_whole=is_whole)
        if "addresses" in found:  # those that are read; the others are not said to be absent
            assert found["addresses"].items() <= expected["addresses"].items()
            continue
        for fact, value in found.items():
            if (fact, value, is_whole) == ("low_power", False, True):
                continue  # of an output that ended by itself: a Mac without this mode
            assert value == expected.get(fact), (fact, cut[-60:])


def test_nothing_is_assumed_of_a_node_that_says_nothing() -> None:
    assert read_facts("Darwin", {}) == NO_FACTS
