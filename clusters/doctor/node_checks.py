"""The checks of one Mac by itself: each takes what was seen and says one finding. Pure.

They stand in the order in which they are made; checks between nodes are in `clusters.doctor.pair_checks`.
"""

from __future__ import annotations

from collections.abc import Callable

from clusters.doctor.collect import Lab, Seen
from clusters.doctor.finding import Finding, Status
from clusters.errors import HostError
from clusters.facts import Facts

GIGABYTE = 10**9
OPEN_FILES = 65_536
LEAST_OPEN_FILES = 4_096
OLDEST_MACOS = 14
SOCKET_PATH_BYTES = 103
SESSION = "/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store"

Check = Callable[[Seen, Lab], Finding | None]
"""None where there is nothing to be looked at on this kind of machine."""


def finding(seen: Seen, check: str, status: Status, ran: str, saw: str, cure: str = "") -> Finding:
    """A finding on the node that was looked at."""
    return Finding(seen.node.name, check, status, ran, saw, cure)


def failed(seen: Seen, check: str, error: HostError) -> Finding:
    """What could not be asked."""
    return finding(seen, check, Status.RED, error.ran, error.saw, error.cure)


def _facts(seen: Seen) -> Facts:
    return seen.facts if isinstance(seen.facts, Facts) else Facts("unknown")


def _ran(seen: Seen, probe: str) -> str:
    return seen.outputs[probe].command if probe in seen.outputs else probe


def login(seen: Seen, lab: Lab) -> Finding | None:
    """1: it is reached, and answers what a shell is asked."""
    for answer in (seen.clock, seen.facts):
        if isinstance(answer, HostError):
            return failed(seen, "login", answer)
    return finding(seen, "login", Status.GREEN, seen.way, "answers")


def native(seen: Seen, lab: Lab) -> Finding | None:
    """3: Apple silicon, and nothing under Rosetta."""
    facts = _facts(seen)
    if facts.system == "Linux":
        return finding(seen, "native", Status.GREEN, _ran(seen, "machine"), f"Linux, {facts.chip}")
    ran = _ran(seen, "hardware")
    if not facts.native:
        saw = f"no Apple silicon ({facts.chip or 'no chip named'})"
        return finding(seen, "native", Status.RED, ran, saw, "take this Mac out: MLX needs an M1 or later")
    about = lab.abouts().get(seen.node.name, {})
    if facts.translated or about.get("machine") == "x86_64":
        cure = "install a native Python: arch -arm64 brew install python@3.13; then make the environment anew"
        return finding(seen, "native", Status.RED, ran, "runs under Rosetta, translated", cure)
    bfloat16 = "" if facts.fast_bfloat16 else ", bfloat16 no faster than float32"
    saw = f"{facts.chip}, {facts.gpu_cores or 'unknown'} GPU cores{bfloat16}"
    return finding(seen, "native", Status.GREEN, ran, saw)


def system_version(seen: Seen, lab: Lab) -> Finding | None:
    """4: macOS 14 or later, and the same major version everywhere."""
    facts = _facts(seen)
    if facts.system != "Darwin":
        return None
    ran, saw = _ran(seen, "version"), f"macOS {facts.version or 'of an unknown version'}"
    if (facts.major or 0) < OLDEST_MACOS:
        cure = f"update to macOS {OLDEST_MACOS} or later: softwareupdate -l"
        return finding(seen, "system", Status.RED, ran, saw, cure)
    majors = {_facts(other).major for other in lab.seen.values() if _facts(other).system == "Darwin"}
    if len(majors) > 1:
        words = f"{saw}, others have another: {', '.join(str(major) for major in sorted(majors, key=str))}"
        cure = "updating all to the same major version makes results alike: wheels of MLX differ by it"
        return finding(seen, "system", Status.WARN, ran, words, cure)
    return finding(seen, "system", Status.GREEN, ran, saw)


def accelerator(seen: Seen, lab: Lab) -> Finding | None:
    """6: MLX computes in the context that Ray will be started from."""
    about = lab.abouts().get(seen.node.name)
    if about is None:
        return None
    ran, answer = "a product of 1024-square matrices by MLX", about["accelerator"]
    if "error" in answer:
        cure = f"on that machine: {lab.inventory.python} -c 'import mlx.core'"
        return finding(seen, "accelerator", Status.RED, ran, answer["error"], cure)
    if _facts(seen).system == "Darwin" and answer["device"] != "gpu":
        cure = "log in as a user who may use the GPU, and install mlx-metal for this macOS"
        return finding(seen, "accelerator", Status.RED, ran, "on the CPU: there is no Metal device", cure)
    name = answer["info"].get("device_name") or answer["info"].get("architecture") or ""
    return finding(seen, "accelerator", Status.GREEN, ran, f"{answer['device']} {name}".strip())


def address(seen: Seen, lab: Lab) -> Finding | None:
    """7: the inventory's IP is on the node."""
    facts = _facts(seen)
    if lab.alone:
        return None
    ran, ip = _ran(seen, "addresses"), seen.node.address
    interface = facts.interface_of(ip)
    if interface is None:
        own = ", ".join(
            f"{name} {' '.join(ips)}" for name, ips in facts.addresses.items() if name[:2] != "lo"
        )
        cure = "correct `ip` in the inventory, or give the Mac that address (System Settings > Network)"
        return finding(seen, "address", Status.RED, ran, f"{ip} is not on it; it has {own or 'none'}", cure)
    return finding(seen, "address", Status.GREEN, ran, f"{ip} on {interface}")


def route(seen: Seen, lab: Lab) -> Finding | None:
    """8: what goes to the head leaves by the interface that has the inventory's IP."""
    facts = _facts(seen)
    if lab.alone or seen.node.is_head:
        return None
    ran, wanted = _ran(seen, "route"), facts.interface_of(seen.node.address)
    if facts.interface_to_head is None:
        cure = "connect it to the head's network, or leave the VPN"
        return finding(seen, "route", Status.RED, ran, "there is no way to the head", cure)
    if facts.interface_to_head != wanted:
        saw = f"the way to the head is {facts.interface_to_head}, but {seen.node.address} is on {wanted}"
        cure = "leave the VPN, or order the services: networksetup -ordernetworkservices ..."
        return finding(seen, "route", Status.WARN, ran, saw, cure)
    return finding(seen, "route", Status.GREEN, ran, f"by {wanted}")


def firewall(seen: Seen, lab: Lab) -> Finding | None:
    """11: the application firewall lets Python in."""
    facts = _facts(seen)
    if facts.firewall is None:
        return None
    ran, tool = _ran(seen, "firewall"), "/usr/libexec/ApplicationFirewall/socketfilterfw"
    if facts.firewall == "blocks all":
        cure = f"sudo {tool} --setblockall off"
        return finding(seen, "firewall", Status.RED, ran, "blocks all incoming connections", cure)
    python = lab.abouts().get(seen.node.name, {}).get("executable", lab.inventory.python)
    blocked = [path for path in facts.firewall_blocked if "python" in path.lower() or "ray" in path.lower()]
    if facts.firewall == "on" and blocked:
        cure = f"sudo {tool} --unblockapp {blocked[0]}"
        return finding(seen, "firewall", Status.RED, ran, f"on, and blocks {blocked[0]}", cure)
    if facts.firewall == "on":
        cure = f"if nodes do not reach it: sudo {tool} --add {python} --unblockapp {python}"
        return finding(seen, "firewall", Status.WARN, ran, "on", cure)
    return finding(seen, "firewall", Status.GREEN, ran, facts.firewall)


def power(seen: Seen, lab: Lab) -> Finding | None:
    """12: on mains, and not put to sleep by being left alone."""
    facts = _facts(seen)
    if facts.system != "Darwin":
        return None
    if facts.on_battery:
        return finding(seen, "power", Status.RED, _ran(seen, "battery"), "runs on its battery", "plug it in")
    ran = _ran(seen, "sleep")
    if facts.sleep_min:
        saw = f"sleeps after {facts.sleep_min} min"
        cure = "sudo pmset -a sleep 0 disksleep 0 womp 1 autorestart 1"
        return finding(seen, "power", Status.WARN, ran, f"{saw}; it is held awake while a study runs", cure)
    if facts.filevault:
        cure = "after a restart somebody has to log in; to go without: sudo fdesetup disable"
        return finding(seen, "power", Status.WARN, _ran(seen, "filevault"), "FileVault is on", cure)
    return finding(seen, "power", Status.GREEN, ran, "on mains, never sleeps")


def display(seen: Seen, lab: Lab) -> Finding | None:
    """13: without a display some Macs slow their GPU down."""
    facts = _facts(seen)
    if facts.display is None:
        return None
    ran = _ran(seen, "displays")
    if not facts.display:
        cure = "if --burn shows it slow: plug in a display or an HDMI dummy"
        return finding(seen, "display", Status.WARN, ran, "no display", cure)
    return finding(seen, "display", Status.GREEN, ran, "there is one")


def open_files(seen: Seen, lab: Lab) -> Finding | None:
    """14: Ray may open as many files as it needs; the agent raises the soft limit to the hard one."""
    facts = _facts(seen)
    if facts.files_hard is None:
        return None
    ran, saw = _ran(seen, "files"), f"at most {facts.files_hard} files"
    mac = "sudo launchctl limit maxfiles 65536 200000"
    cure = mac if facts.system == "Darwin" else "raise nofile to 65536 in /etc/security/limits.conf"
    if facts.files_hard < LEAST_OPEN_FILES:
        return finding(seen, "open files", Status.RED, ran, saw, cure)
    if facts.files_hard < OPEN_FILES:
        return finding(seen, "open files", Status.WARN, ran, f"{saw}, {OPEN_FILES} are advised", cure)
    return finding(seen, "open files", Status.GREEN, ran, "enough")


def disk(seen: Seen, lab: Lab) -> Finding | None:
    """15: room for snapshots; Ray's files in a short path that nobody sweeps."""
    facts = _facts(seen)
    if facts.disk_free_bytes is None:
        return None
    ran, saw = _ran(seen, "disk"), f"{facts.disk_free_bytes / GIGABYTE:.0f} GB free on {facts.disk_mount}"
    temp_dir = lab.abouts().get(seen.node.name, {}).get("temp_dir", "")
    if len(temp_dir + SESSION) > SOCKET_PATH_BYTES:
        words = f"{temp_dir} is too long for a socket's path by {len(temp_dir + SESSION) - SOCKET_PATH_BYTES}"
        cure = "give a shorter one: environment: {folder: /opt/sweep}, say, made writable"
        return finding(seen, "disk", Status.RED, "the length of Ray's folder", words, cure)
    if lab.inventory.folder.startswith(("/tmp", "/private/tmp")) and facts.system == "Darwin":
        cure = "environment: {folder: ~/.sweep}"
        return finding(seen, "disk", Status.RED, ran, "macOS sweeps /tmp after three days", cure)
    if facts.disk_free_bytes < 5 * GIGABYTE:
        cure = f"make room, 5 GB at least; old files of Ray: rm -r {lab.inventory.folder}/r"
        return finding(seen, "disk", Status.RED, ran, saw, cure)
    return finding(seen, "disk", Status.GREEN, ran, saw)


def memory(seen: Seen, lab: Lab) -> Finding | None:
    """16: what is left after the reserve, and whether memory is short already."""
    facts = _facts(seen)
    if facts.memory_bytes is None:
        return None
    ran, saw = _ran(seen, "hardware"), f"{facts.memory_bytes / GIGABYTE:.0f} GB"
    if facts.memory_bytes <= seen.node.reserve_bytes + GIGABYTE:
        words = f"{saw}, and {seen.node.reserve_bytes / GIGABYTE:.0f} GB of them are reserved"
        return finding(seen, "memory", Status.RED, ran, words, "lower `reserve` in the inventory")
    if (facts.swap_used_bytes or 0) > GIGABYTE:
        words = f"{saw}, {(facts.swap_used_bytes or 0) / GIGABYTE:.1f} GB are swapped out"
        return finding(seen, "memory", Status.WARN, ran, words, "quit what is not needed there")
    return finding(seen, "memory", Status.GREEN, ran, saw)


def burn(seen: Seen, lab: Lab) -> Finding | None:
    """21: ten seconds of products; only where it was asked for."""
    if seen.burn is None:
        return None
    if isinstance(seen.burn, HostError):
        return failed(seen, "burn", seen.burn)
    first, last = seen.burn["first"], seen.burn["last"]
    saw = f"{last:.0f} of {first:.0f} GFLOP/s left after 10 s"
    if last < 0.8 * first:
        return finding(seen, "burn", Status.WARN, "10 s of products", saw, "cool it: it throttles")
    return finding(seen, "burn", Status.GREEN, "10 s of products", saw)
