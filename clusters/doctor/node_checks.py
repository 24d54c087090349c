"""The checks of one Mac by itself: each takes what was seen and says one finding. Pure.

They stand in the order in which they are made; checks between nodes are in `clusters.doctor.pair_checks`.
"""

from __future__ import annotations

from collections.abc import Callable

from clusters.doctor.collect import Lab, Observation
from clusters.doctor.finding import Finding, Status
from clusters.errors import HostError
from clusters.facts.node import Facts

GIGABYTE = 10**9
OPEN_FILES = 65_536
LEAST_OPEN_FILES = 4_096
OLDEST_MACOS = 14
SOCKET_PATH_BYTES = 103
SESSION = "/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store"

Check = Callable[[Observation, Lab], Finding | None]
"""None where the check does not apply to this kind of machine."""


def finding(seen: Observation, check: str, status: Status, ran: str, saw: str, fix: str = "") -> Finding:
    """A finding on the node that was observed."""
    return Finding(seen.node.name, check, status, ran, saw, fix)


def failed(seen: Observation, check: str, error: HostError) -> Finding:
    """A red finding where a node did not answer."""
    return finding(seen, check, Status.RED, error.ran, error.saw, error.fix)


def unknown(seen: Observation, check: str, ran: str, what: str) -> Finding:
    """A warning where a command did not print what was looked for: neither fine nor a fault."""
    fix = f"see what it prints there: {ran}"
    return finding(seen, check, Status.WARN, ran, f"unknown: {what}", fix)


def facts_of(seen: Observation) -> Facts:
    """The node's facts; all unknown where it did not answer."""
    return seen.facts if isinstance(seen.facts, Facts) else Facts("unknown")


def ran_for(seen: Observation, probe: str) -> str:
    """The command of a probe."""
    return seen.outputs[probe].command if probe in seen.outputs else probe


def login(seen: Observation, lab: Lab) -> Finding | None:
    """1: it is reached, and its shell answers."""
    for answer in (seen.clock, seen.facts):
        if isinstance(answer, HostError):
            return failed(seen, "login", answer)
    return finding(seen, "login", Status.GREEN, seen.way, "answers")


def native(seen: Observation, lab: Lab) -> Finding | None:
    """3: Apple silicon, and nothing under Rosetta."""
    facts = facts_of(seen)
    if facts.system == "Linux":
        return finding(seen, "native", Status.GREEN, ran_for(seen, "machine"), f"Linux, {facts.chip}")
    ran = ran_for(seen, "hardware")
    about = lab.abouts().get(seen.node.name, {})
    if None in (facts.native, facts.translated) and about.get("machine") != "arm64":
        return unknown(seen, "native", ran, f"whether it is Apple silicon ({facts.chip or 'no chip named'})")
    if facts.native is False:
        saw = f"no Apple silicon ({facts.chip or 'no chip named'})"
        return finding(
            seen,
            "native",
            Status.RED,
            ran,
            saw,
            "remove this Mac from the inventory: MLX needs an M1 or later",
        )
    if facts.translated or about.get("machine") == "x86_64":
        fix = "install a native Python: arch -arm64 brew install python@3.13; then make the environment again"
        return finding(seen, "native", Status.RED, ran, "runs translated, under Rosetta", fix)
    bfloat16 = "" if facts.fast_bfloat16 else ", bfloat16 no faster than float32"
    saw = f"{facts.chip}, {facts.gpu_cores or 'unknown'} GPU cores{bfloat16}"
    return finding(seen, "native", Status.GREEN, ran, saw)


def system_version(seen: Observation, lab: Lab) -> Finding | None:
    """4: macOS 14 or later, and the same major version everywhere."""
    facts = facts_of(seen)
    if facts.system != "Darwin":
        return None
    ran, saw = ran_for(seen, "version"), f"macOS {facts.version}"
    if facts.major is None:
        return unknown(seen, "system", ran, "the version of macOS")
    if facts.major < OLDEST_MACOS:
        fix = f"update to macOS {OLDEST_MACOS} or later: softwareupdate -l"
        return finding(seen, "system", Status.RED, ran, saw, fix)
    others = [facts_of(other) for other in lab.observations.values()]
    majors = {other.major for other in others if other.system == "Darwin" and other.major is not None}
    if len(majors) > 1:
        words = f"{saw}, which differs from others: {', '.join(map(str, sorted(majors)))}"
        fix = "update all Macs to the same major version: MLX has another wheel for each, and results differ"
        return finding(seen, "system", Status.WARN, ran, words, fix)
    return finding(seen, "system", Status.GREEN, ran, saw)


def accelerator(seen: Observation, lab: Lab) -> Finding | None:
    """6: MLX computes in a process started as Ray will be."""
    about = lab.abouts().get(seen.node.name)
    if about is None:
        return None
    ran, answer = "a product of 1024-square matrices by MLX", about["accelerator"]
    if "error" in answer:
        fix = f"see the error on that machine: {lab.inventory.python} -c 'import mlx.core'"
        return finding(seen, "accelerator", Status.RED, ran, answer["error"], fix)
    if facts_of(seen).system == "Darwin" and answer["device"] != "gpu":
        fix = "log in as a user who may use the GPU, and install mlx-metal for this macOS"
        return finding(seen, "accelerator", Status.RED, ran, "runs on the CPU: no Metal device", fix)
    name = answer["info"].get("device_name") or answer["info"].get("architecture") or ""
    return finding(seen, "accelerator", Status.GREEN, ran, f"{answer['device']} {name}".strip())


def address(seen: Observation, lab: Lab) -> Finding | None:
    """7: the inventory's IP is on the node."""
    facts = facts_of(seen)
    if lab.alone:
        return None
    ran, ip = ran_for(seen, "addresses"), seen.node.address
    interface = facts.interface_of(ip)
    if interface is None and not facts.addresses_are_all:
        return unknown(seen, "address", ran, f"whether it has {ip}")
    if interface is None:
        own = ", ".join(
            f"{name} {' '.join(ips)}" for name, ips in facts.addresses.items() if name[:2] != "lo"
        )
        fix = "correct `ip` in the inventory, or give the Mac that address (System Settings > Network)"
        return finding(
            seen, "address", Status.RED, ran, f"{ip} is not on this node; it has {own or 'none'}", fix
        )
    return finding(seen, "address", Status.GREEN, ran, f"{ip} on {interface}")


def route(seen: Observation, lab: Lab) -> Finding | None:
    """8: the route to the head uses the interface that has the inventory's IP."""
    facts = facts_of(seen)
    if lab.alone or seen.node.is_head:
        return None
    ran, wanted = ran_for(seen, "route"), facts.interface_of(seen.node.address)
    if facts.has_route is None or wanted is None:
        return unknown(seen, "route", ran, "by which interface it reaches the head")
    if facts.interface_to_head is None:
        fix = "connect it to the head's network, or leave the VPN"
        return finding(seen, "route", Status.RED, ran, "no route to the head", fix)
    if facts.interface_to_head != wanted:
        saw = f"the route to the head uses {facts.interface_to_head}, but {seen.node.address} is on {wanted}"
        fix = "leave the VPN, or reorder the services: networksetup -ordernetworkservices ..."
        return finding(seen, "route", Status.WARN, ran, saw, fix)
    return finding(seen, "route", Status.GREEN, ran, f"uses {wanted}")


def power(seen: Observation, lab: Lab) -> Finding | None:
    """12: on mains power, no sleep when idle, no low power mode, which slows the GPU."""
    facts = facts_of(seen)
    if facts.system != "Darwin":
        return None
    battery, ran = ran_for(seen, "battery"), ran_for(seen, "sleep")
    if facts.on_battery:
        return finding(seen, "power", Status.RED, battery, "on battery", "plug it in")
    if facts.sleep_min:
        saw = f"sleeps after {facts.sleep_min} min"
        fix = "sudo pmset -a sleep 0 disksleep 0 womp 1 autorestart 1"
        return finding(seen, "power", Status.WARN, ran, f"{saw}; kept awake while a study runs", fix)
    if facts.low_power:
        fix = "sudo pmset -a lowpowermode 0 (on a Pro or Max: sudo pmset -a powermode 0)"
        return finding(seen, "power", Status.WARN, ran, "low power mode is on and slows the GPU", fix)
    if facts.filevault:
        fix = "log in after each restart, or turn it off: sudo fdesetup disable"
        return finding(seen, "power", Status.WARN, ran_for(seen, "filevault"), "FileVault is on", fix)
    for what, fact, command in (
        ("whether it is on mains power", facts.on_battery, battery),
        ("when it goes to sleep", facts.sleep_min, ran),
        ("whether low power mode is on", facts.low_power, ran),
        ("whether FileVault is on", facts.filevault, ran_for(seen, "filevault")),
    ):
        if fact is None:
            return unknown(seen, "power", command, what)
    return finding(seen, "power", Status.GREEN, ran, "on mains power, never sleeps")


def display(seen: Observation, lab: Lab) -> Finding | None:
    """13: some Macs slow their GPU down without a display."""
    facts = facts_of(seen)
    if facts.system != "Darwin":
        return None
    ran = ran_for(seen, "displays")
    if facts.display is None:
        return unknown(seen, "display", ran, "whether a display is connected")
    if not facts.display:
        fix = "if --burn shows it slow, plug in a display or an HDMI dummy"
        return finding(seen, "display", Status.WARN, ran, "no display", fix)
    return finding(seen, "display", Status.GREEN, ran, "connected")


def open_files(seen: Observation, lab: Lab) -> Finding | None:
    """14: Ray may open as many files as it needs; the agent raises the soft limit to the hard one."""
    facts = facts_of(seen)
    if facts.files_hard is None:
        return unknown(seen, "open files", ran_for(seen, "files"), "how many files it may open")
    ran, saw = ran_for(seen, "files"), f"at most {facts.files_hard} files"
    mac = "sudo launchctl limit maxfiles 65536 200000"
    fix = mac if facts.system == "Darwin" else "raise nofile to 65536 in /etc/security/limits.conf"
    if facts.files_hard < LEAST_OPEN_FILES:
        return finding(seen, "open files", Status.RED, ran, saw, fix)
    if facts.files_hard < OPEN_FILES:
        return finding(seen, "open files", Status.WARN, ran, f"{saw}, {OPEN_FILES} advised", fix)
    return finding(seen, "open files", Status.GREEN, ran, "enough")


def disk(seen: Observation, lab: Lab) -> Finding | None:
    """15: room for snapshots; Ray's files under a short path that macOS does not clean up."""
    facts = facts_of(seen)
    if facts.disk_free_bytes is None:
        return unknown(seen, "disk", ran_for(seen, "disk"), "how much of its disk is free")
    ran, saw = ran_for(seen, "disk"), f"{facts.disk_free_bytes / GIGABYTE:.0f} GB free on {facts.disk_mount}"
    temp_dir = lab.abouts().get(seen.node.name, {}).get("temp_dir", "")
    if len(temp_dir + SESSION) > SOCKET_PATH_BYTES:
        words = f"{temp_dir} is too long for a socket path by {len(temp_dir + SESSION) - SOCKET_PATH_BYTES}"
        fix = "choose a shorter one, such as environment: {folder: /opt/sweep}, and make it writable"
        return finding(seen, "disk", Status.RED, "the length of Ray's folder", words, fix)
    if lab.inventory.folder.startswith(("/tmp", "/private/tmp")) and facts.system == "Darwin":
        fix = "write environment: {folder: ~/.sweep}"
        return finding(seen, "disk", Status.RED, ran, "macOS deletes files in /tmp after three days", fix)
    if facts.disk_free_bytes < 5 * GIGABYTE:
        fix = f"free at least 5 GB; Ray's old files: rm -r {lab.inventory.folder}/r"
        return finding(seen, "disk", Status.RED, ran, saw, fix)
    return finding(seen, "disk", Status.GREEN, ran, saw)


def memory(seen: Observation, lab: Lab) -> Finding | None:
    """16: memory left after the reserve, and whether it is already short."""
    facts = facts_of(seen)
    if facts.memory_bytes is None:
        return unknown(seen, "memory", ran_for(seen, "hardware"), "how much memory it has")
    ran, saw = ran_for(seen, "hardware"), f"{facts.memory_bytes / GIGABYTE:.0f} GB"
    if facts.memory_bytes <= seen.node.reserve_bytes + GIGABYTE:
        words = f"{saw}, of which {seen.node.reserve_bytes / GIGABYTE:.0f} GB are reserved"
        return finding(seen, "memory", Status.RED, ran, words, "lower `reserve` in the inventory")
    if facts.swap_used_bytes is None:
        return unknown(seen, "memory", ran, f"{saw}, but not how much is swapped out")
    if facts.swap_used_bytes > GIGABYTE:
        words = f"{saw}, {facts.swap_used_bytes / GIGABYTE:.1f} GB are swapped out"
        return finding(seen, "memory", Status.WARN, ran, words, "quit programs that are not needed there")
    return finding(seen, "memory", Status.GREEN, ran, saw)


def burn(seen: Observation, lab: Lab) -> Finding | None:
    """21: ten seconds of matrix products; only with --burn."""
    if seen.burn is None:
        return None
    if isinstance(seen.burn, HostError):
        return failed(seen, "burn", seen.burn)
    first, last = seen.burn["first"], seen.burn["last"]
    saw = f"{last:.0f} of {first:.0f} GFLOP/s left after 10 s"
    if last < 0.8 * first:
        return finding(seen, "burn", Status.WARN, "10 s of matrix products", saw, "cool it: it is throttling")
    return finding(seen, "burn", Status.GREEN, "10 s of matrix products", saw)
