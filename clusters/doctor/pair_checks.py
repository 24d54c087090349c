"""The checks that need the other nodes: one Mac twice, environments, links, clocks. Pure."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping

from clusters.doctor.collect import Lab, Observation
from clusters.doctor.finding import Finding, Status
from clusters.doctor.node_checks import finding, ran_for, unknown
from clusters.errors import HostError
from clusters.facts.node import Facts

CLOCK_S = 1.0

INSTALL = (
    "uv venv --python {python} {folder}/env && "
    "uv pip install --python {folder}/env --require-hashes -r requirements.lock"
)

READINGS: Mapping[str, tuple[str, str]] = {
    "ETIMEDOUT": ("a firewall or VPN drops it", "see the checks `firewall` and `route` of both"),
    "ECONNREFUSED": ("nothing is listening there any more", "run doctor again"),
    "EHOSTUNREACH": (
        "no route, or macOS's Local Network privacy forbids it",
        "start it over SSH or by a LaunchDaemon, which are exempt, not from an app on that Mac",
    ),
    "ENETUNREACH": ("no route", "see the check `route`"),
}


def distinct(seen: Observation, lab: Lab) -> Finding | None:
    """2: two entries are not one Mac."""
    if lab.alone or not isinstance(seen.facts, Facts):
        return None
    ran = ran_for(seen, "uuid")
    if seen.facts.uuid is None:
        return unknown(seen, "distinct", ran, "which machine it is")
    for name, other in lab.observations.items():
        if name == seen.node.name:
            break
        if isinstance(other.facts, Facts) and other.facts.uuid == seen.facts.uuid:
            fix = "remove one of the two; for two slots on one Mac write slots: 2"
            return finding(seen, "distinct", Status.RED, ran, f"is the same machine as {name}", fix)
    return finding(seen, "distinct", Status.GREEN, ran, "no other entry is this machine")


def environment(seen: Observation, lab: Lab) -> Finding | None:
    """5: the same Python patch, ray, mlx and lock as the head, or the first node that has any."""
    sync = f"run python -m sweep cluster sync {lab.inventory.file}"
    if not lab.inventory.own_environment:
        sync = f"make {lab.inventory.python} there like the head's: {_install(lab)}"
    ran = lab.inventory.python
    if isinstance(seen.about, HostError):
        saw, missing = seen.about.saw, "code 127" in seen.about.saw or "No such file" in seen.about.saw
        words = f"there is no {ran}" if missing else saw
        return finding(seen, "environment", Status.RED, ran, words, sync if missing else seen.about.fix)
    abouts = lab.abouts()
    about = abouts.get(seen.node.name)
    if about is None:
        return None
    versions = about["versions"]
    absent = [name for name in ("mlx", "ray") if versions[name] is None]
    if absent:
        return finding(seen, "environment", Status.RED, ran, f"has no {' and no '.join(absent)}", sync)
    head = lab.inventory.head.name
    reference = head if head in abouts else next(iter(abouts))
    wanted = abouts[reference]["versions"]
    differing = [name for name in ("python", "ray", "mlx") if versions[name] != wanted[name]]
    if differing:
        own = ", ".join(f"{name} {versions[name]}" for name in differing)
        saw = f"{own}, but {reference} has {', '.join(f'{name} {wanted[name]}' for name in differing)}"
        return finding(seen, "environment", Status.RED, ran, saw, sync)
    if about["lock"] != abouts[reference]["lock"]:
        saw = f"was made from a lock file that differs from {reference}'s"
        return finding(seen, "environment", Status.RED, ran, saw, sync)
    saw = f"python {versions['python']}, ray {versions['ray']}, mlx {versions['mlx']}"
    if about["wheel"] != abouts[reference]["wheel"]:
        words = f"{saw}, of the wheel {about['wheel']}, {reference} has {abouts[reference]['wheel']}"
        return finding(
            seen,
            "environment",
            Status.WARN,
            ran,
            words,
            "update all Macs to the same macOS: it decides the wheel",
        )
    return finding(seen, "environment", Status.GREEN, ran, saw)


def links(seen: Observation, lab: Lab) -> Finding | None:
    """9: TCP both ways on Ray's ports; a broken link is put down to the end with most of them."""
    if lab.alone or len(lab.observations) == 1:
        return None
    ran = "TCP to and from every node on Ray's ports"
    own = seen.node.name
    broken = list(_broken(lab))
    counts = {name: sum(name in link[:2] for link in broken) for name in lab.observations}
    for source, target, port, error in broken:
        if own not in (source, target):
            continue
        other = target if own == source else source
        if (counts[own], not seen.node.is_head) < (counts[other], not lab.observations[other].node.is_head):
            continue
        reading, fix = READINGS.get(error, (error, "check the network between them"))
        ip = lab.observations[target].node.address
        saw = f"from {source} to {target} ({ip}:{port}): {error}, {reading}"
        return finding(seen, "links", Status.RED, ran, saw, fix)
    return finding(seen, "links", Status.GREEN, ran, f"{len(seen.reached)} others reached")


def _install(lab: Lab) -> str:
    """What to type in the project's folder on a node for the head's environment."""
    abouts = lab.abouts()
    head = abouts.get(lab.inventory.head.name) or next(iter(abouts.values()), {})
    python = head.get("versions", {}).get("python", platform.python_version())
    return INSTALL.format(python=python, folder=lab.inventory.folder)


def _broken(lab: Lab) -> Iterator[tuple[str, str, str, str]]:
    for source, seen in lab.observations.items():
        for target, ports in seen.reached.items():
            for port, result in ports.items():
                if result != "ok":
                    yield source, target, port, result
                    break


def clock(seen: Observation, lab: Lab) -> Finding | None:
    """17: no more than a second from this machine's."""
    if lab.alone or isinstance(seen.clock, HostError):
        return None
    offset, error = seen.clock.offset_s, seen.clock.error_s
    saw = f"{offset:+.2f} s, give or take {error:.2f}"
    if abs(offset) - error > CLOCK_S:
        fix = "on the Mac: sudo sntp -sS time.apple.com"
        return finding(seen, "clock", Status.RED, "its time beside this machine's", saw, fix)
    return finding(seen, "clock", Status.GREEN, "its time beside this machine's", saw)
