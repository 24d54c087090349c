"""The supervisor's side of one node: starts its agent over SSH, has it start Ray, listens until it ends.

One thread a node. It reports NodeProgress; a failure is tried again until `leave`.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusters import nodeside, paths
from clusters.ask import no_python
from clusters.errors import HostError
from clusters.facts import probes
from clusters.facts.node import Facts, read_facts
from clusters.inventory import Inventory, Node
from clusters.lifecycle import joining, raystart
from clusters.lifecycle.certificates import Authority
from clusters.lifecycle.states import NodeProgress, Phase
from clusters.remote import Conversation, runner, shell_path

HELLO_S = 40.0
START_S = 150.0
END_S = 45.0
BEAT_S = 5.0
SILENCE_S = 40.0
"""After so long without a message from the supervisor an agent ends its Ray."""

RETRY_S = 10.0


@dataclass
class Head:
    """What the other nodes need of the head before they can start."""

    versions: Mapping[str, str | None] = field(default_factory=dict)
    token: str = ""
    answers: threading.Event = field(default_factory=threading.Event)


class RayEndedError(HostError):
    """Ray did not start, or did not stay up: on a very busy machine a second try may succeed."""


class NodeSession:
    """Keeps Ray up on one node. To have it try at once, set `round`, then call `wake`."""

    def __init__(
        self,
        inventory: Inventory,
        node: Node,
        head: Head,
        *,
        by: str,
        authority: Authority | None = None,
        say: Callable[[NodeProgress], None],
    ) -> None:
        self.node = node
        self.round = 1
        self._inventory = inventory
        self._head = head
        self._by = by
        self._authority = authority
        self._say = say
        self._leaving = False
        self._tried_twice = 0
        self._wake = threading.Event()
        self._talk: Conversation | None = None
        self._thread = threading.Thread(target=self._run, name=node.name)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Try at once, where it is waiting to try again."""
        self._wake.set()

    def leave(self) -> None:
        """Let go of the node; `join` waits until its Ray has ended."""
        self._leaving = True
        self._wake.set()
        if self._talk is not None:
            self._talk.hang_up()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        while not self._leaving:
            self._wake.clear()
            round_ = self.round
            try:
                self._once(round_)
            except RayEndedError as error:
                if self._tried_twice != round_:
                    self._tried_twice = round_
                    continue
                self._fail(error, round_)
            except HostError as error:
                self._fail(error, round_)
            if self.round == round_:
                self._wake.wait(RETRY_S)

    def _fail(self, error: HostError, round_: int) -> None:
        self._tell(Phase.FAILED, round_, saw=f"{error.ran}: {error.saw}", fix=error.fix)

    def _tell(self, phase: Phase, round_: int, **more: Any) -> None:
        if not self._leaving:
            self._say(NodeProgress(self.node.name, phase, round_, time.time(), **more))

    def _once(self, round_: int) -> None:
        """One life of Ray on the node, from the first question to its end. Raises HostError with why."""
        self._tell(Phase.STARTING, round_)
        python, label = shell_path(self._inventory.python), f"sweep-agent-{self._inventory.name}"
        script, source = nodeside.held(python, "lifecycle.agent", label)
        talk = Conversation(runner(self._inventory, self.node), script, source)
        self._talk = talk
        if self._leaving:
            talk.hang_up()
        try:
            talk.say(json.dumps(self._config()))
            hello = self._heard(talk, HELLO_S)
            joining.require_ports(self.node, hello)
            self._meet_head(talk, hello, round_)
            facts = read_facts(*probes.read(hello["probes"]))
            talk.say(json.dumps(self._order(facts)))
            self._wait_until_up(talk)
            note = joining.note(self.node, hello, self._head.token)
            self._tell(Phase.UP, round_, note=note, about=joining.about(facts))
            while talk.is_quiet(BEAT_S):
                talk.say("")
            self._heard(talk, HELLO_S)
        finally:
            if self.node.is_head:
                self._head.answers.clear()
            self._talk = None
            talk.close(deadline_s=END_S)

    def _config(self) -> dict[str, Any]:
        log = paths.log(self._inventory)
        asked = joining.question(self._inventory, self.node)
        return {**asked, "by": self._by, "log": log, "silence_s": SILENCE_S}

    def _order(self, facts: Facts) -> dict[str, Any]:
        files = joining.files(self._inventory, self.node, self._head.token, self._authority)
        return {**joining.order(self._inventory, self.node, facts), "files": files}

    def _meet_head(self, talk: Conversation, hello: Mapping[str, Any], round_: int) -> None:
        """The head lets the others know of it; the others wait until it answers, and compare."""
        if self.node.is_head:
            self._head.versions = hello["versions"]
            self._head.token = (hello["token"] or "").strip() or secrets.token_hex(32)
            return
        self._tell(Phase.WAITING, round_)
        while not self._head.answers.is_set():
            if not talk.is_quiet(0.2):
                self._heard(talk, HELLO_S)
            talk.say("")
        self._tell(Phase.STARTING, round_)
        joining.require_versions(self._inventory, self.node, hello, self._head.versions)

    def _wait_until_up(self, talk: Conversation) -> None:
        deadline = time.monotonic() + START_S
        while True:
            if talk.is_quiet(min(BEAT_S, max(0.0, deadline - time.monotonic()))):
                talk.say("")
                if time.monotonic() > deadline:
                    raise self._ray_ended(f"not up within {START_S:.0f} s")
                continue
            said = self._heard(talk, HELLO_S)
            if "answers" in said:
                self._head.answers.set()
            if "up" in said:
                return

    def _heard(self, talk: Conversation, deadline_s: float) -> dict[str, Any]:
        """What the agent says next. Raises HostError where it says that it cannot hold Ray."""
        line = ""
        try:
            line = talk.answer(deadline_s=deadline_s)
            said: dict[str, Any] = json.loads(line)
        except HostError as error:
            if "code 127" in error.saw or "code 126" in error.saw:
                raise no_python(self._inventory, self.node) from error
            raise
        except ValueError as error:
            fix = "remove whatever prints from the shell start-up files there"
            raise self._error("sh", f"said `{line.strip()[:80]}`", fix) from error
        if "held" in said:
            raise joining.held(self._inventory, self.node, said["held"])
        if "ended" in said:
            raise self._ray_ended(f"ended with exit code {said['ended']}: {raystart.reason(said['log'])}")
        return said

    def _error(self, ran: str, saw: str, fix: str) -> HostError:
        return HostError(self.node.name, ran, saw, fix)

    def _ray_ended(self, saw: str) -> RayEndedError:
        fix = f"see {paths.log(self._inventory)} there"
        return RayEndedError(self.node.name, "ray start", saw, fix)
