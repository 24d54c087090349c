"""Outputs of real Macs, read whole and cut off anywhere: what is read is right, or it is unknown."""

from __future__ import annotations

import re
from collections.abc import Callable
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


def by_line(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: "".join(change(line) for line in text.splitlines(keepends=True))


DAMAGES: dict[str, Callable[[str], str]] = {
    "every line twice": by_line(lambda line: line * 2),
    "the ends of a terminal's lines": lambda text: text.replace("\n", "\r\n"),
    "a decimal comma": lambda text: re.sub(r"(?<=\d)\.(?=\d)", ",", text),
    "numbers in groups of three": lambda text: re.sub(r"\d(?=(\d{3})+\b)", r"\g<0>.", text),
    "one more column": by_line(lambda line: line.rstrip("\n") + " 7\n"),
    "the last word of each line lost": by_line(lambda line: re.sub(r"[ \t]*\S+\n", "\n", line)),
    "no numbers": lambda text: re.sub(r"\d+", "", text),
    "other units": lambda text: re.sub(r"(?<=\d)M\b", "G", text),
    "no spaces at the beginning": by_line(str.lstrip),
    "lines of an error before it": lambda text: f"sysctl: warning 3\ndyld[123]: { {} }\n" + text,
    "in another language": lambda text: text.replace("is", "ist").replace("from", "von").replace("=", ":"),
}


UNDETECTABLE = {
    ("firewall", "one more column"): "firewall_apps",  # programs' paths have spaces
    ("hardware", "one more column"): "chip",  # its name is any text
    ("hardware", "the last word of each line lost"): "chip",
    ("hardware", "no numbers"): "chip",
    ("sleep", "in another language"): "sleep_min",  # without SleepDisabled it is what the setting says
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", CASES)
def test_of_a_damaged_output_a_fact_is_right_or_unknown(name: str, damage: str) -> None:
    probe, text, expected = CASES[name]
    for is_whole in (True, False):
        found = known(probe, DAMAGES[damage](text), is_whole=is_whole)
        found.pop(UNDETECTABLE.get((probe, damage), ""), None)
        assert found == {fact: value for fact, value in found.items() if value == expected.get(fact)}


CHIPS = [
    ("Apple M1", {"Performance": 4, "Efficiency": 4}, (4, 4), False),
    ("Apple M1 Ultra", {"Performance": 16, "Efficiency": 4}, (16, 4), False),
    ("Apple M2 Max", {"Performance": 8, "Efficiency": 4}, (8, 4), False),
    ("Apple M3 Ultra", {"Performance": 24, "Efficiency": 8}, (24, 8), True),
    ("Apple M4", {"Performance": 4, "Efficiency": 6}, (4, 6), True),
    ("Apple M5", {"Super": 4, "Efficiency": 6}, (4, 6), True),
    ("Apple M5 Pro", {"Super": 5, "Performance": 10}, (15, 0), True),
    ("Apple M9 Ultra", {"Super": 10, "Performance": 20, "Efficiency": 8}, (None, None), True),
    ("Apple M9", {"Lightning": 4, "Efficiency": 4}, (None, None), True),
    ("Apple processor", {"Performance": 4}, (4, 0), None),
]


@pytest.mark.parametrize(("chip", "levels", "cores", "fast"), CHIPS)
def test_a_chip_s_cores_are_counted_or_unknown(
    chip: str, levels: dict[str, int], cores: tuple[int | None, int | None], fast: bool | None
) -> None:
    """An Ultra's two dies count as one; of a third level the probe does not ask."""
    asked = list(levels.items())[:2]
    text = f"machdep.cpu.brand_string: {chip}\nhw.physicalcpu: {sum(levels.values())}\n" + "".join(
        f"hw.perflevel{level}.physicalcpu: {count}\nhw.perflevel{level}.name: {name}\n"
        for level, (name, count) in enumerate(asked)
    )
    found = read_facts("Darwin", {"hardware": Output("", 0, text)})
    assert (found.chip, found.fast_cores, found.slow_cores) == (chip, *cores)
    assert found.fast_bfloat16 is fast


@pytest.mark.parametrize(
    ("probe", "text", "code", "fact", "value"),
    [
        # As macOS 14 and older word it.
        (
            "firewall",
            "ALF: total number of apps = 1 \n\n1 :  /usr/bin/python3 \n \t ( Allow incoming connections ) \n",
            0,
            "firewall_apps",
            {"/usr/bin/python3": True},
        ),
        # Two rules for one program.
        (
            "firewall",
            "Total number of apps = 2\n"
            "1 : /a b\n  (Allow incoming connections)\n2 : /a b\n  (Block incoming connections)\n",
            0,
            "firewall_apps",
            None,
        ),
        # `pmset -g` answered, `pmset -g custom` did not.
        ("sleep", " SleepDisabled\t\t1\npmset: no such option\n", 64, "low_power", None),
        ("sleep", "AC Power:\n sleep 0\n", 64, "low_power", None),
        ("sleep", "AC Power:\n sleep 0\n powermode 0\n powermode 1\n", 0, "low_power", None),
        ("sleep", "AC Power:\n sleep 0\n powermode 2\n", 0, "low_power", False),
        # An interface whose name has a dot; one whose line is lost.
        ("addresses", "vlan0.7: flags=8<UP>\n\tinet 10.0.0.7\n", 0, "addresses", {"vlan0.7": ("10.0.0.7",)}),
        ("addresses", "\tinet 10.0.0.7 netmask 0xff\n", 0, "addresses_are_all", False),
        ("addresses", "lo0: flags=8049<UP>\n\tinet 127.0.0.1\n", 1, "addresses_are_all", False),
        ("displays", '{"SPDisplaysDataType": [{"spdisplays_ndrvs": 2}]}\n', 0, "display", None),
        ("displays", '{"SPDisplaysDataType": {"_name": "Apple M4"}}\n', 0, "display", None),
        ("displays", '{"SPDisplaysDataType": [{"_name": "Apple M4"}]}\n', 0, "display", False),
        ("heat", "\tCPU_Speed_Limit \t= 110\n", 0, "heat", "not throttled"),
        ("version", "ProductVersion: 15,5\n", 0, "version", None),
    ],
)  # fmt: skip
def test_what_is_worded_otherwise_is_read_or_unknown(
    probe: str, text: str, code: int, fact: str, value: object
) -> None:
    assert getattr(read_facts("Darwin", {probe: Output("", code, text)}), fact) == value


def test_two_linux_nodes_that_cannot_read_their_ids_are_not_one() -> None:
    said = "cat: /etc/machine-id: No such file or directory\n"
    assert read_facts("Linux", {"uuid": Output("", 1, said)}).uuid is None
    assert read_facts("Linux", {"uuid": Output("", 0, "ab" * 16 + "\n")}).uuid == "ab" * 16


def test_nothing_is_assumed_of_a_node_that_says_nothing() -> None:
    assert read_facts("Darwin", {}) == NO_FACTS
