"""`up` where every node runs Ray as its own system service: nodes are asked, given orders, waited for.

Nothing stays running where it is typed: a node follows its order until it gets another, or none.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from clusters import nodeside, paths
from clusters.ask import ask
from clusters.errors import ClusterError, HostError
from clusters.facts import probes
from clusters.facts.node import Facts, read_facts
from clusters.inventory import Inventory, Node
from clusters.lifecycle import joining, raystart, states
from clusters.lifecycle.certificates import Authority, authority
from clusters.lifecycle.looking import look
from clusters.lifecycle.states import NodeProgress, Phase
from clusters.lifecycle.supervisor import identity
from clusters.remote import Local, on_all, runner, shell_path

MEET_S = 40.0
SETTLE_S = 180.0
LISTEN_S = 10.0
SILENT_S = 60.0
UP_S = 240.0


@dataclass(frozen=True)
class Met:
    """What a node answered before anything was changed there."""

    hello: Mapping[str, Any]
    facts: Facts

    @property
    def order(self) -> Mapping[str, Any] | None:
        """What its daemon follows, where one is running."""
        found = self.hello["order"]
        return found if (self.hello["holder"] or {}).get("by") == paths.DAEMON else None

    @property
    def is_trying(self) -> bool:
        """Whether Ray is up there, or may still come up by itself."""
        return bool((self.hello["state"] or {}).get("phase", "starting") != "ended")


def up(inventory: Inventory, say: Callable[[NodeProgress], None]) -> list[NodeProgress]:
    """Give an order to every node that is not up by the same one; report each as soon as it is decided.

    Raises ClusterError where nothing can be started.
    """
    return _Up(inventory, say).run()


class _Up:
    """One `up`: the head's order first, since the others' is to join it."""

    def __init__(self, inventory: Inventory, say: Callable[[NodeProgress], None]) -> None:
        self._inventory = inventory
        self._say_one = say
        self._lock = threading.Lock()
        self._said: dict[str, NodeProgress] = {}
        self._head_failed = threading.Event()
        self._deadline = time.monotonic() + UP_S
        folder = states.folder(inventory)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._authority: Authority | None = authority(folder, inventory.name) if inventory.tls else None

    def run(self) -> list[NodeProgress]:
        """Give every node its order, the head first, and say how each one stands."""
        head, nodes = self._inventory.head, self._inventory.nodes
        met, lost = on_all(nodes, self._meet)
        for name, error in lost.items():
            self._fail(name, error)
        self._require_same(met)
        if head.name in met:
            token = (met[head.name].hello["token"] or "").strip() or secrets.token_hex(32)
            order = self._tried(head, partial(self._settle, head, met, token))
        if head.name in self._said:
            self._head_failed.set()
            on_all(self._open(), lambda node: self._fail(node.name, self._waits(node)))
        else:
            on_all(self._open(), lambda node: self._bring(node, met, token, order))
        return [self._said[node.name] for node in nodes]

    def _open(self) -> list[Node]:
        return [node for node in self._inventory.nodes if node.name not in self._said]

    def _meet(self, node: Node) -> Met:
        inventory = self._inventory
        folder, trusted = paths.own(inventory), paths.tls(inventory)[2]
        config = {**joining.question(inventory, node), "folder": folder, "authority": trusted}
        hello = ask(inventory, node, "lifecycle.meet", config, deadline_s=MEET_S)
        return Met(hello, read_facts(*probes.read(hello["probes"])))

    def _require_same(self, met: Mapping[str, Met]) -> None:
        """Raise ClusterError where something changed that must be the same on all nodes."""
        inventory = self._inventory
        down = f"run {joining.verb(inventory, 'down')}, then up again"
        own = hashlib.sha256(self._authority.pem.encode()).hexdigest() if self._authority else None
        for name, one in met.items():
            if one.order is None:
                continue
            if one.order["fixed"] != states.fixed(inventory):
                what = "head, ports, environment or auth differ"
                raise ClusterError(f"{inventory.file}: {what} from what is running on {name}; {down}")
            if own is not None and one.hello["authority_sha256"] != own:
                where = f"signed by {one.order['by']}, which alone has the key"
                raise ClusterError(
                    f"{inventory.file}: the certificates on {name} were {where}; run up there, or {down}"
                )

    def _bring(self, node: Node, met: Mapping[str, Met], token: str, head_order: str | None) -> None:
        settle = partial(self._settle, node, met, token)
        order = head_order if node.is_head else self._tried(node, settle)
        if order is None:
            return
        note = joining.note(node, met[node.name].hello, token)
        if self._tried(node, partial(self._wait, node, order)):
            about = joining.about(met[node.name].facts)
            self._say(NodeProgress(node.name, Phase.UP, 0, time.time(), note=note, about=about))

    def _tried(self, node: Node, act: Callable[[], str]) -> str | None:
        """Its result; None where it failed, which is reported."""
        try:
            return act()
        except HostError as error:
            self._fail(node.name, error)
            if node.is_head:
                self._head_failed.set()
            return None

    def _settle(self, node: Node, met: Mapping[str, Met], token: str) -> str:
        """The id of the order that the node follows: its old one, or a new one. Raises HostError."""
        inventory, one = self._inventory, met[node.name]
        holder = one.hello["holder"]
        if holder is not None and holder.get("by") != paths.DAEMON:
            raise joining.held(inventory, node, holder)
        wanted = json.dumps([node.name, node.address, node.slots, node.reserve_bytes])
        is_same = one.order is not None and one.order["wanted"] == wanted
        if one.order is not None and is_same and one.is_trying and joining.is_token(one.hello, token):
            return str(one.order["id"])
        joining.require_ports(node, one.hello)
        if not node.is_head:
            versions = met[inventory.head.name].hello["versions"]
            joining.require_versions(inventory, node, one.hello, versions)
        order = {
            **joining.order(inventory, node, one.facts),
            "id": secrets.token_hex(8),
            "by": identity(inventory).partition(":")[0],
            "fixed": states.fixed(inventory),
            "wanted": wanted,
            "ip": node.address,
            "head": None if node.is_head else [inventory.head.address, inventory.ports.gcs],
        }
        files = joining.files(inventory, node, token, self._authority)
        files[paths.daemon(inventory)] = nodeside.program("lifecycle.daemon")
        given = {"files": files, "order": order}
        config = paths.service(inventory)
        said = ask(inventory, node, "lifecycle.settle", config, deadline_s=SETTLE_S, given=given)
        if said:
            raise _not_installed(inventory, node, said)
        return str(order["id"])

    def _wait(self, node: Node, order: str) -> str:
        """Until Ray is up by this order. Raises HostError where it is not."""
        inventory, began = self._inventory, time.monotonic()
        config = {"folder": paths.own(inventory), "order": order, "seconds": LISTEN_S}
        while True:
            state = ask(inventory, node, "lifecycle.outcome", config, deadline_s=LISTEN_S + MEET_S)["state"]
            if state is None and time.monotonic() - began > SILENT_S:
                log = paths.daemon_log(inventory)
                saw = "does not answer to its order"
                raise HostError(node.name, "its daemon", saw, f"see {log} there")
            if state is not None:
                if state["phase"] == "up":
                    return order
                if state.get("failed", 0) > 1:
                    raise trouble(inventory, node, state)
                if state["phase"] == "waiting" and self._head_failed.is_set():
                    raise self._waits(node)
                if time.monotonic() > self._deadline:
                    raise trouble(inventory, node, state)

    def _waits(self, node: Node) -> HostError:
        head = self._inventory.head.name
        return HostError(node.name, "", f"waits for {head}, the head", f"fix {head} first")

    def _fail(self, name: str, error: HostError) -> None:
        saw = ": ".join(filter(None, [error.ran, error.saw]))
        self._say(NodeProgress(name, Phase.FAILED, 0, time.time(), saw=saw, fix=error.fix))

    def _say(self, state: NodeProgress) -> None:
        with self._lock:
            self._said[state.node] = state
            self._say_one(state)


def require_none(inventory: Inventory) -> None:
    """Raise ClusterError where a node that answers is held by a daemon."""
    seen, _ = on_all(inventory.nodes, lambda node: look(inventory, node, "true", deadline_s=MEET_S))
    held = [name for name, said in seen.items() if (said["holder"] or {}).get("by") == paths.DAEMON]
    if held:
        raise ClusterError(
            f"{inventory.file}: already held by daemons: {', '.join(held)}. Write `hold: daemon`, "
            f"or run {joining.verb(inventory, 'down')}, then up again"
        )


def trouble(inventory: Inventory, node: Node, state: Mapping[str, Any]) -> HostError:
    """Why a node's daemon has no Ray running, from its last state."""
    saw = state.get("why") or f"is {state['phase']}"
    if state["phase"] == "waiting":
        fix = f"run {joining.verb(inventory, 'doctor')}"
        return HostError(node.name, "its daemon", saw, fix)
    saw = ": ".join(filter(None, [saw, raystart.reason(state["log"]) if state.get("log") else ""]))
    return HostError(node.name, "ray start", saw, f"see {paths.log(inventory)} there")


def as_root(inventory: Inventory, node: Node, script: str) -> str:
    """What to type to run a script on a node as root."""
    command = f"sudo sh {shell_path(script)}"
    if isinstance(runner(inventory, node), Local):
        return command
    config = f"-F {inventory.ssh_config} " if inventory.ssh_config else ""
    return f"ssh -t {config}{node.ssh or node.address} {shlex.quote(command)}"


def _not_installed(inventory: Inventory, node: Node, said: Mapping[str, str]) -> HostError:
    if "script" not in said:
        return HostError(node.name, "its daemon", said["failed"], "write `hold: ssh`")
    typed = as_root(inventory, node, said["script"])
    if "failed" in said:
        return HostError(
            node.name, "installing its service", said["failed"], f"to see the error, run {typed}"
        )
    return HostError(
        node.name, "installing its service", said["refused"], f"run once: {typed}, then up again"
    )
