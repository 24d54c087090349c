"""`doctor` over Macs by what their commands say: chips, versions, power, firewall, Rosetta, FileVault."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from clusters.doctor.collect import Clock, Lab, Observation
from clusters.doctor.examine import judge
from clusters.doctor.finding import Finding
from clusters.doctor.firewall_check import TOOL
from clusters.errors import HostError
from clusters.facts.node import read_facts
from clusters.facts.probes import Output, read, script
from clusters.inventory import parse
from tests.clusters.macs import mac

INVENTORY = parse(
    "nodes:\n"
    "  - {name: studio, ssh: me@studio.local, ip: 192.168.1.11}\n"
    "  - {name: mini, ssh: me@mini.local, ip: 192.168.1.12}\n",
    Path("lab.yaml"),
)
FIRST = "11111111-2222-3333-4444-555555555555"
PYTHON = "/opt/homebrew/bin/python3.13"
RAYLET = "/Users/me/.sweep/env/ray/core/src/ray/raylet/raylet"
GCS_SERVER = "/Users/me/.sweep/env/ray/core/src/ray/gcs/gcs_server"
ADD = "; ".join(
    f"sudo {TOOL} --add '{path}'; sudo {TOOL} --unblockapp '{path}'" for path in (RAYLET, GCS_SERVER)
)
OTHER = "99999999-2222-3333-4444-555555555555"


def about(**changes: Any) -> dict[str, Any]:
    return {
        "executable": "/Users/me/.sweep/env/bin/python",
        "listeners": [PYTHON, RAYLET, GCS_SERVER],
        "machine": "arm64",
        "versions": {"python": "3.13.5", "ray": "2.60.0", "mlx": "0.32.4"},
        "wheel": "py3-none-macosx_15_0_arm64",
        "lock": "abc",
        "accelerator": {"device": "gpu", "info": {"device_name": "Apple M2 Ultra"}},
        "temp_dir": "/Users/me/.sweep/r",
        "holder": None,
        "token": {"sha256": "abcdef", "mode": "600"},
        "ports": {"6380": "listening", "6381": "listening", "20000": "listening"},
        **changes,
    }


def lab(
    *,
    abouts: dict[str, Any] | None = None,
    clock: Clock | HostError | None = None,
    both: Mapping[str, Any] = MappingProxyType({}),
    **changes: Any,
) -> Lab:
    """A studio that is well, and a mini that differs by `changes`."""
    mini = {**both, "ip": "192.168.1.12", "uuid": OTHER, **changes}
    outputs = {"studio": mac(**both), "mini": mac(**mini)}
    seen = {
        node.name: Observation(
            node,
            f"ssh {node.ssh}",
            Clock(0.0, 0.1),
            read_facts("Darwin", outputs[node.name]),
            outputs[node.name],
            about(),
            {"mini" if node.is_head else "studio": {"6380": "ok"}},
        )
        for node in INVENTORY.nodes
    }
    if abouts is not None:
        seen["mini"] = replace(seen["mini"], about=about(**abouts))
    if clock is not None:
        seen["mini"] = replace(seen["mini"], clock=clock)
    return Lab(INVENTORY, seen)


def of_mini(found: Lab) -> dict[str, Finding]:
    """The mini's findings that are not green; the studio's all are, unless they speak of both."""
    return {
        one.check: one
        for one in judge(found)
        if one.node == "mini" and one.status not in ("green", "skipped")
    }


@pytest.mark.parametrize("version", ["14.0", "14.7.6", "15.5", "26.0", "26.1"])
@pytest.mark.parametrize("firewall", ["disabled", "disabled, as older ones say it", "enabled"])
@pytest.mark.parametrize("low_power", [0, None])
def test_two_macs_that_are_well(version: str, firewall: str, low_power: int | None) -> None:
    both = {"version": version, "firewall": firewall, "low_power": low_power, "allowed": (RAYLET, GCS_SERVER)}
    assert {found.status.value for found in judge(lab(both=both))} == {"green"}


@pytest.mark.parametrize(
    ("changes", "check", "status", "saw", "fix"),
    [
        ({"uuid": FIRST}, "distinct", "red", "same machine as studio", "slots: 2"),
        ({"translated": True}, "native", "red", "Rosetta", "arch -arm64"),
        (
            {"translated": True, "chip": "VirtualApple @ 2.50GHz"}, "native", "red",
            "Rosetta", "arch -arm64",
        ),
        (
            {"intel": True, "chip": "Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz"}, "native", "red",
            "no Apple silicon (Intel(R) Core(TM) i7", "M1 or later",
        ),
        ({"version": "13.6.1"}, "system", "red", "macOS 13.6.1", "softwareupdate"),
        ({"version": "26.0"}, "system", "warn", "15, 26", "same major"),
        ({"ip": "192.168.1.99"}, "address", "red", "it has en0 192.168.1.99", "`ip`"),
        ({"interface": "utun4"}, "route", "warn", "utun4, but 192.168.1.12 is on en0", "VPN"),
        ({"firewall": "enabled"}, "firewall", "warn", f"on, with no rule for {RAYLET}, {GCS_SERVER}", ADD),
        (
            {"firewall": "enabled", "python_blocked": True}, "firewall", "red",
            f"blocks {PYTHON}", f"--add '{PYTHON}'; sudo {TOOL} --unblockapp '{PYTHON}'",
        ),
        ({"firewall": "enabled, as older ones say it"}, "firewall", "warn", "on", ADD),
        ({"firewall": "blocks all"}, "firewall", "red", "blocks all", "--setblockall off"),
        (
            {"firewall": "blocks all, as older ones say it"}, "firewall", "red",
            "blocks all", "--setblockall off",
        ),
        ({"laptop": True, "battery": True}, "power", "red", "battery", "plug it in"),
        ({"laptop": True, "sleep_min": 10}, "power", "warn", "sleeps after 10 min", "sudo pmset -a sleep 0"),
        ({"low_power": 1}, "power", "warn", "low power mode is on", "sudo pmset -a lowpowermode 0"),
        ({"filevault": True}, "power", "warn", "FileVault is on", "log in"),
        ({"display": False}, "display", "warn", "no display", "dummy"),
        ({"memory_gb": 4}, "memory", "red", "4 GB", "reserve"),
        ({"swap_mb": 5000.0}, "memory", "warn", "5.2 GB are swapped out", "quit"),
        ({"abouts": {"machine": "x86_64"}}, "native", "red", "Rosetta", "arch -arm64"),
        (
            {"abouts": {"versions": {"python": "3.13.4", "ray": "2.60.0", "mlx": "0.32.4"}}},
            "environment", "red",
            "python 3.13.4, but studio has python 3.13.5", "cluster sync lab.yaml",
        ),
        ({"abouts": {"lock": "def"}}, "environment", "red", "a lock file that", "cluster sync lab.yaml"),
        ({"abouts": {"wheel": "py3-none-macosx_14_arm64"}}, "environment", "warn", "macosx_14", "the wheel"),
        (
            {"abouts": {"accelerator": {"device": "cpu", "info": {}}}}, "accelerator", "red",
            "no Metal device", "mlx-metal",
        ),
        ({"abouts": {"accelerator": {"error": "no answer"}}}, "accelerator", "red", "no answer", "mlx"),
        ({"abouts": {"temp_dir": "/Users/" + "x" * 60}}, "disk", "red", "too long", "folder"),
        ({"abouts": {"ports": {"6380": "taken"}}}, "ports", "red", "in use: 6380", "lsof"),
        ({"abouts": {"token": {"sha256": "abc", "mode": "644"}}}, "token", "red", "mode 644", "chmod 600"),
        ({"abouts": {"token": {"sha256": "xyz", "mode": "600"}}}, "token", "red", "differs from", "down"),
        ({"abouts": {"token": None, "holder": {"by": "me"}}}, "token", "red", "missing, but", "up lab.yaml"),
        ({"clock": Clock(4.0, 0.2)}, "clock", "red", "+4.00 s", "sntp"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_seen_and_its_fix_said(
    changes: dict[str, Any], check: str, status: str, saw: str, fix: str
) -> None:
    found = of_mini(lab(**changes))
    assert list(found) == [check]
    assert found[check].status.value == status
    assert saw in found[check].saw
    assert fix in found[check].fix
    assert found[check].ran


@pytest.mark.parametrize(
    ("chip", "cores", "version", "fast"),
    [
        ("Apple M1", (4, 4), "14.0", False),
        ("Apple M2 Ultra", (16, 8), "14.7.6", False),
        ("Apple M3 Max", (12, 4), "15.5", True),
        ("Apple M4 Pro", (10, 4), "26.1", True),
    ],
)
def test_chips_and_systems_are_told_apart(
    chip: str, cores: tuple[int, int], version: str, fast: bool
) -> None:
    found = read_facts("Darwin", mac(chip=chip, cores=cores, memory_gb=48, version=version))
    assert (found.chip, found.fast_cores, found.slow_cores) == (chip, *cores)
    assert (found.fast_bfloat16, found.memory_bytes) == (fast, 48 * 2**30)
    assert (found.version, found.major) == (version, int(version[:2]))
    assert (found.gpu_cores, found.files_hard) == (60, 2**31)


def test_a_clock_that_may_be_right_is_not_called_wrong() -> None:
    assert of_mini(lab(clock=Clock(1.5, 0.9))) == {}


def test_a_red_check_leaves_those_after_it_unmade() -> None:
    error = HostError("mini", "ssh me@mini.local", "did not answer", "look whether it is awake")
    found = [one for one in judge(lab(clock=error)) if one.node == "mini"]
    assert [one.status.value for one in found] == ["red"] + ["skipped"] * (len(found) - 1)
    assert (found[0].saw, found[0].fix) == (error.saw, error.fix)


def in_ray(**changes: Any) -> dict[str, Any]:
    """What Ray says of the studio and, but for `changes`, of the mini."""
    nodes = [
        {"ip": node.ip, "labels": {"sweep.node": node.name}, "resources": {"GPU": 1.0}, **more}
        for node, more in zip(INVENTORY.nodes, ({}, changes), strict=True)
    ]
    return {"nodes": nodes, "answers": {"studio": {"mini": "ok"}, "mini": {"studio": "ok"}}}


@pytest.mark.parametrize(
    ("ray", "check", "saw"),
    [
        (in_ray(), None, ""),
        (in_ray(labels={"sweep.node": "other"}), "ray", "Ray does not know this node"),
        (in_ray(ip="192.168.1.99"), "ray", "Ray knows it at 192.168.1.99"),
        (in_ray(resources={}), "ray", "0 GPUs"),
        ({**in_ray(), "answers": {"studio": {"mini": "ok"}}}, "actors", "no task ran there"),
        ({**in_ray(), "answers": {"mini": {"studio": "EHOSTUNREACH"}}}, "actors", "Local Network privacy"),
    ],
)
def test_ray_has_the_nodes_of_the_inventory(ray: dict[str, Any], check: str | None, saw: str) -> None:
    found = of_mini(replace(lab(), ray=ray))
    assert list(found) == ([check] if check else [])
    assert not check or saw in found[check].saw


def test_a_node_of_ray_that_is_in_no_entry_and_a_ray_that_does_not_answer() -> None:
    other = {"ip": "192.168.1.99", "labels": {}, "resources": {}}
    ray = in_ray()
    strange = {**ray, "nodes": [*ray["nodes"], other]}
    mute = HostError("studio", "python (pinned)", "code 1: no", "doctor")
    for answer, saw in (
        (strange, "has 192.168.1.99, which the inventory does not name"),
        (mute, "code 1: no"),
    ):
        reds = [one for one in judge(replace(lab(), ray=answer)) if one.status == "red"]
        assert [(one.node, one.check, one.saw) for one in reds] == [("studio", "ray", saw)]


@pytest.mark.slow
def test_probes_are_told_apart_and_one_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")  # numbers with a decimal comma, words in German
    from clusters.facts import probes
    from clusters.remote import Local

    asked = (
        probes.Probe("plain", "x", "echo 'it''s'; (exit 3)"),
        probes.Probe("hangs", "x", "echo begun; sleep 30", deadline_s=1),
        probes.Probe("absent", "x", None),
        probes.Probe("locale", "x", "echo $LC_ALL"),
        probes.Probe("last", "x", "echo {head}"),
    )
    monkeypatch.setattr(probes, "PROBES", asked)
    done = Local("here").run(script(head="10.0.0.1", folder="/tmp"), deadline_s=20)
    system, outputs = read(done.out)
    assert system == "Linux"
    assert {name: (output.code, output.text) for name, output in outputs.items()} == {
        "plain": (3, "its\n"),
        "hangs": (137, "begun\n"),
        "locale": (0, "C\n"),
        "last": (0, "10.0.0.1\n"),
    }
    assert [name for name, output in outputs.items() if not output.is_whole] == ["hangs"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_no_output_is_lost_where_the_shell_is_bash() -> None:
    """Subshells of bash 5 run the EXIT trap of their parent: there must be none that removes outputs."""
    text = script(head="127.0.0.1", folder="/tmp", only=("machine", "files", "version", "disk"))
    for _ in range(12):
        done = subprocess.run(["bash", "--posix", "-c", text], capture_output=True, text=True, check=True)
        _, outputs = read(done.stdout)
        assert {name: output.is_whole for name, output in outputs.items()} == dict.fromkeys(
            ("machine", "version", "files", "disk"), True
        )
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("system", "said", "heat"),
    [
        ("Darwin", "Note: No thermal warning level has been recorded\n", None),
        ("Darwin", "com.apple.system.thermalpressurelevel 0\n", None),
        ("Darwin", "com.apple.system.thermalpressurelevel 2\n", "throttled, heavy thermal pressure"),
        ("Darwin", "CPU_Scheduler_Limit \t= 100\nCPU_Speed_Limit \t= 62\n", "throttled to 62 %"),
        ("Darwin", "CPU_Speed_Limit \t= 100\n", "not throttled"),
        ("Darwin", "pmset: no such thing", None),
        ("Linux", "41000\n57500\n", "58 °C"),
        ("Linux", "cat: /sys/class/thermal/thermal_zone*/temp: No such file or directory", None),
    ],
)
def test_heat_is_read_where_it_is_said(system: str, said: str, heat: str | None) -> None:
    assert read_facts(system, {"heat": Output("", 0, said)}).heat == heat


def test_facts_that_cannot_be_read_are_unknown() -> None:
    assert read_facts("Darwin", {}).memory_bytes is None
    assert read_facts("Linux", {}).files_hard is None


PROBED = ("hardware", "version", "firewall", "sleep", "battery", "displays", "filevault", "files", "disk")


@pytest.mark.parametrize("probe", [*PROBED, "addresses", "route", "uuid"])
def test_an_output_that_stops_is_unknown_and_never_red_or_fine(probe: str) -> None:
    """Each output of a Mac that is well, cut off at every byte: unknown, with a warning, or green."""
    well = lab(both={"firewall": "enabled", "allowed": (RAYLET, GCS_SERVER)})
    mini = well.observations["mini"]
    whole = mini.outputs[probe]
    seen = set()
    for end in range(len(whole.text)):
        outputs = {**mini.outputs, probe: Output(whole.command, 137, whole.text[:end], False)}
        cut = replace(mini, outputs=outputs, facts=read_facts("Darwin", outputs))
        found = of_mini(replace(well, observations={**well.observations, "mini": cut}))
        seen |= {one.check for one in found.values()}
        for one in found.values():
            assert (one.status.value, one.saw[:9]) == ("warn", "unknown: "), (end, one)
            assert one.ran
            assert one.fix
    assert seen, "with nothing read at all, something must be unknown"
