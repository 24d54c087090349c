"""The checks of Ray itself and of what it needs: the token, its ports, its nodes, what runs in it. Pure."""

from __future__ import annotations

from clusters import paths
from clusters.doctor.collect import Lab, Observation
from clusters.doctor.finding import Finding, Status
from clusters.doctor.node_checks import failed, finding
from clusters.doctor.pair_checks import READINGS
from clusters.errors import HostError
from clusters.facts.node import Facts
from ray_contract import NODE_LABEL


def token(seen: Observation, lab: Lab) -> Finding | None:
    """18: the head's token, readable by its owner alone; before the first `up` there is none."""
    abouts = lab.abouts()
    if lab.alone or seen.node.name not in abouts:
        return None
    path, up = paths.token(lab.inventory), f"run python -m sweep cluster up {lab.inventory.file}"
    own = abouts[seen.node.name]["token"]
    head = abouts.get(lab.inventory.head.name, {}).get("token")
    if own is None:
        if head is None or not abouts[seen.node.name]["holder"]:
            return finding(seen, "token", Status.GREEN, path, "none yet: `up` makes it")
        return finding(seen, "token", Status.RED, path, "missing, but the head has one", up)
    if own["mode"] != "600":
        fix = f"chmod 600 {path}"
        return finding(seen, "token", Status.RED, path, f"others may read it (mode {own['mode']})", fix)
    if head is not None and own["sha256"] != head["sha256"]:
        fix = f"run python -m sweep cluster down {lab.inventory.file}, then {up.removeprefix('run ')}"
        return finding(seen, "token", Status.RED, path, "differs from the head's", fix)
    return finding(seen, "token", Status.GREEN, path, f"sha256 {own['sha256'][:8]}")


def ports(seen: Observation, lab: Lab) -> Finding | None:
    """19: Ray's ports are free, or used by the Ray that `up` started there."""
    about = lab.abouts().get(seen.node.name)
    if lab.alone or about is None:
        return None
    ran = f"listening on {seen.node.address}:{','.join(about['ports'])}"
    taken = [port for port, how in about["ports"].items() if how == "taken"]
    odd = [f"{port} {how}" for port, how in about["ports"].items() if how not in ("taken", "listening")]
    if odd:
        fix = "correct `ip` or `ports` in the inventory"
        return finding(seen, "ports", Status.RED, ran, ", ".join(odd), fix)
    if about["holder"]:
        by = about["holder"].get("by", "an agent that is starting")
        return finding(seen, "ports", Status.GREEN, ran, f"used by our Ray, held by {by}")
    if taken:
        fix = f"sudo lsof -nP -iTCP:{taken[0]} -sTCP:LISTEN shows the program; or choose others under `ports`"
        return finding(seen, "ports", Status.RED, ran, f"in use: {', '.join(taken)}", fix)
    return finding(seen, "ports", Status.GREEN, ran, "free")


def ray(seen: Observation, lab: Lab) -> Finding | None:
    """20: while Ray is up, its nodes are the inventory's: by label, address and GPU."""
    if lab.ray is None:
        return None
    if isinstance(lab.ray, HostError):
        return failed(seen, "ray", lab.ray) if seen.node.is_head else None
    ran, up = "ray.nodes()", f"run python -m sweep cluster up {lab.inventory.file}"
    by_name = {node["labels"].get(NODE_LABEL): node for node in lab.ray["nodes"]}
    strange = [node["ip"] for name, node in by_name.items() if name not in lab.observations]
    if seen.node.is_head and strange:
        fix = "stop Ray there, or add that machine to the inventory"
        return finding(
            seen, "ray", Status.RED, ran, f"has {strange[0]}, which the inventory does not name", fix
        )
    own = by_name.get(seen.node.name)
    if own is None:
        return finding(seen, "ray", Status.RED, ran, "Ray does not know this node", up)
    if own["ip"] != seen.node.address:
        return finding(seen, "ray", Status.RED, ran, f"Ray knows it at {own['ip']}", up)
    mac = isinstance(seen.facts, Facts) and seen.facts.system == "Darwin"
    if mac and own["resources"].get("GPU") != 1:
        saw = f"Ray gives it {own['resources'].get('GPU', 0):.0f} GPUs"
        return finding(seen, "ray", Status.RED, ran, saw, f"run down, then up: {up.removeprefix('run ')}")
    return finding(seen, "ray", Status.GREEN, ran, "as the inventory says")


def actors(seen: Observation, lab: Lab) -> Finding | None:
    """10: while Ray is up, what runs in it on this node reaches all others."""
    if lab.ray is None or isinstance(lab.ray, HostError):
        return None
    ran = "TCP from a task of Ray that is pinned there"
    answer = lab.ray["answers"].get(seen.node.name)
    if answer is None:
        fix = f"see Ray's logs there, in {paths.temp_dir(lab.inventory)}/session_latest/logs"
        return finding(seen, "actors", Status.RED, ran, "no task ran there", fix)
    for name, result in answer.items():
        if result != "ok":
            reading, fix = READINGS.get(result, (result, "check the network between them"))
            return finding(seen, "actors", Status.RED, ran, f"to {name}: {result}, {reading}", fix)
    return finding(seen, "actors", Status.GREEN, ran, f"reaches {len(answer)} nodes")
