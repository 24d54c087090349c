"""The check of macOS's application firewall: it must let in the programs that listen. Pure.

They are Python and two programs of Ray. Ray's are signed ad hoc, so `allow signed software` leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterable

from clusters.doctor.collect import Lab, Observation
from clusters.doctor.finding import Finding, Status
from clusters.doctor.node_checks import facts_of, finding, ran_for, unknown

TOOL = "/usr/libexec/ApplicationFirewall/socketfilterfw"


def firewall(seen: Observation, lab: Lab) -> Finding | None:
    """11: the application firewall lets in Python and Ray's raylet and gcs_server."""
    facts = facts_of(seen)
    if facts.system != "Darwin":
        return None
    ran = ran_for(seen, "firewall")
    if facts.firewall is None:
        return unknown(seen, "firewall", ran, "whether the firewall is on")
    if facts.firewall == "off":
        return finding(seen, "firewall", Status.GREEN, ran, "off")
    if facts.firewall == "blocks all":
        fix = f"sudo {TOOL} --setblockall off"
        return finding(seen, "firewall", Status.RED, ran, "blocks all incoming connections", fix)
    listening = lab.abouts().get(seen.node.name, {}).get("listeners") or [lab.inventory.python]
    rules = facts.firewall_apps
    if rules is None:
        saw = "unknown: on, but not which programs it lets in"
        return finding(
            seen, "firewall", Status.WARN, ran, saw, f"if nodes do not reach it: {_let_in(listening)}"
        )
    blocked = [path for path in listening if rules.get(path) is False]
    if blocked:
        saw = f"on, and blocks {', '.join(blocked)}"
        return finding(seen, "firewall", Status.RED, ran, saw, _let_in(blocked))
    missing = [path for path in listening if path not in rules]
    if missing:
        saw = f"on, with no rule for {', '.join(missing)}"
        return finding(
            seen, "firewall", Status.WARN, ran, saw, f"if nodes do not reach it: {_let_in(missing)}"
        )
    return finding(seen, "firewall", Status.GREEN, ran, "on, and lets Python and Ray in")


def _let_in(paths: Iterable[str]) -> str:
    return "; ".join(f"sudo {TOOL} --add '{path}'; sudo {TOOL} --unblockapp '{path}'" for path in paths)
