"""Commands on a node, here or over SSH. Each has a deadline; a failed connection is a HostError.

Scripts are for /bin/sh and are passed on the command line, so that no login shell reads them.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from clusters.errors import HostError
from clusters.inventory import Inventory, Node

CONNECT_S = 5
"""How long an SSH connection may take to come about."""

SSH_OPTIONS = (
    "-o", "BatchMode=yes",
    "-o", f"ConnectTimeout={CONNECT_S}",
    "-o", "StrictHostKeyChecking=yes",
    "-o", "ServerAliveInterval=5",
    "-o", "ServerAliveCountMax=3",
    "-o", "LogLevel=ERROR",
)  # fmt: skip

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Completed:
    """A command that ended by itself."""

    code: int
    out: str
    err: str


class Runner(Protocol):
    """Runs scripts on one node."""

    @property
    def node(self) -> str: ...

    def command(self, script: str) -> list[str]:
        """The command that runs `script` there, for a caller that keeps it open."""

    def run(self, script: str, *, deadline_s: float, stdin: bytes = b"") -> Completed:
        """Run `script` to its end. Raises HostError where the node is not reached or the deadline passes."""


@dataclass(frozen=True)
class Local:
    """This machine."""

    node: str

    def command(self, script: str) -> list[str]:
        return ["/bin/sh", "-c", script]

    def run(self, script: str, *, deadline_s: float, stdin: bytes = b"") -> Completed:
        return _run(self.node, "sh", self.command(script), stdin, deadline_s)


@dataclass(frozen=True)
class Ssh:
    """A machine reached by the `ssh` program, with the user's own configuration or the inventory's."""

    node: str
    target: str
    config: Path | None = None

    def command(self, script: str) -> list[str]:
        config = ("-F", str(self.config)) if self.config is not None else ()
        return ["ssh", *config, *SSH_OPTIONS, self.target, f"exec /bin/sh -c {shlex.quote(script)}"]

    def run(self, script: str, *, deadline_s: float, stdin: bytes = b"") -> Completed:
        done = _run(self.node, f"ssh {self.target}", self.command(script), stdin, deadline_s)
        if done.code == 255:  # ssh's own: none of our scripts end so
            raise ssh_error(self.node, self.target, done.err)
        return done


def runner(inventory: Inventory, node: Node) -> Local | Ssh:
    """How the node is reached: by a plain shell where its address is this machine's."""
    if node.ip is not None and is_own_address(node.ip):
        return Local(node.name)
    return Ssh(node.name, node.ssh or node.address, inventory.ssh_config)


def is_own_address(ip: str) -> bool:
    """Whether an address is one of this machine's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
    return True


def shell_path(path: str) -> str:
    """A path of the inventory as /bin/sh on a node reads it."""
    return '"$HOME"/' + shlex.quote(path[2:]) if path.startswith("~/") else shlex.quote(path)


def on_all(
    nodes: Iterable[Node], act: Callable[[Node], Answer]
) -> tuple[dict[str, Answer], dict[str, HostError]]:
    """Do one thing on all nodes at once; what came of it by node, and where it could not be done."""
    answers: dict[str, Answer] = {}
    errors: dict[str, HostError] = {}
    nodes = list(nodes)
    with ThreadPoolExecutor(max_workers=max(1, len(nodes))) as pool:
        futures = {node.name: pool.submit(act, node) for node in nodes}
    for name, future in futures.items():
        try:
            answers[name] = future.result()
        except HostError as error:
            errors[name] = error
    return answers, errors


def _run(node: str, what: str, command: list[str], stdin: bytes, deadline_s: float) -> Completed:
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        fix = "install OpenSSH's client, or put it on the PATH"
        raise HostError(node, what, f"cannot be started: {error.strerror}", fix) from error
    try:
        out, err = process.communicate(stdin, timeout=deadline_s)
    except subprocess.TimeoutExpired:
        end_group(process)
        raise HostError(
            node,
            what,
            f"did not end within {deadline_s:.0f} s",
            "check that the machine is awake and not overloaded, then run the same command again",
        ) from None
    except BaseException:
        end_group(process)
        raise
    return Completed(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


class Conversation:
    """A command on a node that exchanges lines with us; each answer has a deadline.

    `preamble` is what its stdin begins with. Only `hang_up` may be called by another thread.
    """

    def __init__(self, runner: Runner, script: str, preamble: bytes = b"") -> None:
        self._runner = runner
        self._stdin = threading.Lock()
        self._process = subprocess.Popen(
            runner.command(script),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._write(preamble)

    def answer(self, *, deadline_s: float) -> str:
        """The next line that it says. Raises HostError where it ends first, or says nothing in time."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

        timer = threading.Timer(deadline_s, give_up)
        timer.start()
        try:
            line = self._process.stdout.readline()
            said = "" if line else self._process.stderr.read().decode(errors="replace")
        finally:
            timer.cancel()
        if line:
            return line.decode(errors="replace")
        code = self._process.wait()
        node = self._runner.node
        if late.is_set():
            fix = "check that the machine is awake and not overloaded"
            raise HostError(node, "sh", f"no answer within {deadline_s:.0f} s", fix)
        if code == 255 and isinstance(self._runner, Ssh):
            raise ssh_error(node, self._runner.target, said)
        last = (said.strip().splitlines() or ["no output"])[-1]
        raise HostError(
            node,
            "sh",
            f"ended with code {code}: {last}",
            "run the same command again; if it fails again, log in there with `ssh` and try it by hand",
        )

    def say(self, line: str) -> None:
        """Send one line. A command that has ended does not read it; the next `answer` raises then."""
        self._write(line.encode() + b"\n")

    def is_quiet(self, seconds: float) -> bool:
        """Whether it writes nothing, and does not end, for that long."""
        assert self._process.stdout is not None
        return not select.select([self._process.stdout], [], [], seconds)[0]

    def hang_up(self) -> None:
        """Close its stdin: a pending `answer` returns what the command says to that."""
        assert self._process.stdin is not None
        with self._stdin, suppress(BrokenPipeError):
            self._process.stdin.close()

    def close(self, *, deadline_s: float = 5.0) -> None:
        """End its stdin, wait for it to end, and see that it does."""
        self.hang_up()
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            end_group(self._process)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _write(self, what: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with self._stdin, suppress(BrokenPipeError):
            if not stdin.closed:
                stdin.write(what)
                stdin.flush()


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a group of its own, and what is left of the group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


_PASSWORDS_ONLY = (
    "it accepts passwords only, and no password can be typed here",
    "on that Mac take `PubkeyAuthentication no` out of /etc/ssh/sshd_config and sshd_config.d, "
    "then: ssh-copy-id {target}",
)

_SSH_FIXES: Mapping[str, tuple[str, str]] = {
    "could not resolve": (
        "the name cannot be resolved here",
        "correct `ssh` in the inventory, or give the Mac's IP: `ssh: me@192.168.1.11`",
    ),
    "remote host identification has changed": (
        "its host key is not the one known here",
        "if the Mac was reinstalled: ssh-keygen -R {host}, then ssh {target} once and compare the key",
    ),
    "host key verification failed": (
        "its host key is not known here",
        "run `ssh {target}` once and compare the key that it shows with "
        "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on that Mac",
    ),
    "permission denied (password": _PASSWORDS_ONLY,
    "permission denied (keyboard-interactive": _PASSWORDS_ONLY,
    "permission denied": (
        "it accepts none of your keys, and no password can be typed here",
        "ssh-copy-id {target}   (no key yet? ssh-keygen -t ed25519 first)",
    ),
    "too many authentication failures": (
        "too many keys were offered before the right one",
        "name the key in ~/.ssh/config: Host {host}, IdentityFile ..., IdentitiesOnly yes",
    ),
    "connection refused": (
        "no SSH server is running there",
        "on that Mac: System Settings > General > Sharing > Remote Login on, "
        "or sudo systemsetup -setremotelogin on",
    ),
    "no route to host": (
        "no route to it",
        "check that it is awake and on this network; on this Mac, allow your terminal under System Settings "
        "> Privacy & Security > Local Network",
    ),
    "timed out": (
        f"it did not answer within {CONNECT_S} s",
        "check that it is awake and on this network, with no VPN or firewall in between",
    ),
    "bad configuration option": (
        "the SSH configuration has an error",
        "correct the file that it names",
    ),
}


def ssh_error(node: str, target: str, said: str) -> HostError:
    """What ssh printed, as one line with what to type."""
    lines = [line.strip() for line in said.splitlines() if line.strip(" @\r")]
    flat = " ".join(lines)
    for pattern, (saw, fix) in _SSH_FIXES.items():
        if pattern in flat.lower():
            host = target.rpartition("@")[2]
            last = next((line for line in lines if pattern in line.lower()), lines[-1])
            return HostError(node, f"ssh {target}", f"{saw} ({last})", fix.format(target=target, host=host))
    return HostError(
        node,
        f"ssh {target}",
        f"the connection ended before the command ran ({lines[-1] if lines else 'no output'})",
        f"run `ssh {target} true` and fix what it reports",
    )
