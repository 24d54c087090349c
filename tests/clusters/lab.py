"""Machines to be had for nothing: network namespaces, each with an address, a file tree and a real sshd.

with Lab(("a", "b", "c")) as lab:      # needs root, ip and sshd; `reason_against()` says what is missing
    lab.inventory                      # their inventory, with an ssh_config, keys and host keys of its own
    lab.run("a", "hostname")           # a command on one of them, not by SSH

A machine has its own network, processes, host name, machine-id and home; the rest of the file system is
shared, so that the Python of these tests is on every one of them.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.processes import wait_until

ROOT = Path(__file__).parents[2]
TOOLS = ("ip", "unshare", "nsenter", "mount", "ssh", "ssh-keygen", "sshd")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def tool(name: str) -> str:
    found = shutil.which(name, path=PATH)
    assert found, name
    return found


@functools.cache
def reason_against() -> str | None:
    """Why machines cannot be made here; None where they can."""
    missing = [name for name in TOOLS if not shutil.which(name, path=PATH)]
    if missing:
        return f"no {', '.join(missing)} here"
    if os.geteuid() != 0:
        return "making network namespaces takes root"
    command = [tool("unshare"), "--net", "--mount", "--pid", "--uts", "--fork", "true"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"namespaces are refused: {tried.stderr.strip()}" if tried.returncode else None


def check(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": PATH}
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


class Lab:
    """Machines on one bridge, which is in a namespace of its own: nothing of the host's is touched."""

    def __init__(self, names: Sequence[str], *, subnet: str = "10.213.7") -> None:
        self.names = list(names)
        self.path = Path(tempfile.mkdtemp(prefix="lab", dir="/tmp"))
        self.home = self.path / "home"
        self.switch = f"sw-{self.path.name[3:]}"
        self._subnet = subnet
        self._sshds: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._prepare()
            for name in self.names:
                self._connect(name)
                self._start(name)
            for name in self.names:
                self._wait_for_ssh(name)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ip(self, name: str) -> str:
        return f"{self._subnet}.{self.names.index(name) + 11}"

    def tree(self, name: str) -> Path:
        """A machine's own files, as they are seen from here; on the machine its home."""
        return self.path / "trees" / name

    @property
    def ssh_config(self) -> Path:
        return self.path / "ssh_config"

    @property
    def inventory(self) -> Path:
        return self.path / "lab.yaml"

    def write_inventory(self, *changes: tuple[str, str]) -> Path:
        """The inventory of all machines, with parts of its text replaced."""
        lines = [f"  - {{name: {name}, ssh: root@{name}, ip: {self.ip(name)}}}" for name in self.names]
        text = "\n".join(
            [
                "name: lab",
                "nodes:",
                *lines,
                f"environment: {{folder: ~/s, python: {sys.executable}}}",
                "ssh: {config: ssh_config}",
                "",
            ]
        )
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.inventory.write_text(text)
        return self.inventory

    def inside(self, name: str, *command: str) -> list[str]:
        """The command line that runs a command on a machine."""
        sshd = str(self._child(name))
        home = f"HOME={self.home}"
        return [
            tool("nsenter"),
            "-t",
            sshd,
            "--net",
            "--mount",
            "--pid",
            "--uts",
            tool("env"),
            home,
            *command,
        ]

    def run(self, name: str, *command: str) -> str:
        return check(*self.inside(name, *command))

    def processes(self, name: str) -> list[str]:
        """What runs on a machine: process ids and how they were started, `ps` itself left out."""
        lines = self.run(name, "ps", "-eo", "pid=,args=").splitlines()
        return [line.strip() for line in lines if "ps -eo" not in line]

    def outside(self, *command: str, laptop: str = "laptop") -> list[str]:
        """The command line that runs a command beside the machines, on their network: a laptop there."""
        home = f"HOME={self.path}/{laptop}"
        return [tool("ip"), "netns", "exec", self.switch, tool("env"), home, *command]

    def cluster(self, verb: str, *options: str, laptop: str = "laptop") -> subprocess.CompletedProcess[str]:
        """`python -m sweep cluster ...`, as a laptop on the machines' network types it."""
        command = [sys.executable, "-m", "sweep", "cluster", verb, str(self.inventory), *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
        return subprocess.run(
            self.outside(*command, laptop=laptop),
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def cut(self, name: str) -> None:
        """Pull the machine's network cable."""
        check("ip", "-n", self.switch, "link", "set", f"p-{name}", "down")

    def plug(self, name: str) -> None:
        check("ip", "-n", self.switch, "link", "set", f"p-{name}", "up")

    def kill(self, name: str) -> None:
        """Switch the machine off: with the first of its processes all others end."""
        sshd = self._sshds.pop(name)
        os.kill(self._child_of(sshd), signal.SIGKILL)
        sshd.wait()

    def boot(self, name: str) -> None:
        """Switch a machine that was killed on again."""
        self._start(name)
        self._wait_for_ssh(name)

    def close(self) -> None:
        for kept in self.path.glob("*/.sweep/clusters/*/supervisor.json"):  # of a test that broke off
            pid = json.loads(kept.read_text())["pid"]
            arguments = Path(f"/proc/{pid}/cmdline")
            if arguments.exists() and str(self.path) in arguments.read_text():
                os.kill(pid, signal.SIGKILL)
        for name in list(self._sshds):
            self.kill(name)
        for namespace in (*(f"{self.switch}-{name}" for name in self.names), self.switch):
            subprocess.run([tool("ip"), "netns", "delete", namespace], capture_output=True, check=False)
        shutil.rmtree(self.path, ignore_errors=True)

    def _prepare(self) -> None:
        check("ip", "netns", "add", self.switch)
        check("ip", "-n", self.switch, "link", "add", "br0", "type", "bridge")
        check("ip", "-n", self.switch, "addr", "add", f"{self._subnet}.1/24", "dev", "br0")
        for link in ("lo", "br0"):
            check("ip", "-n", self.switch, "link", "set", link, "up")
        self.home.mkdir()
        (self.path / "laptop").mkdir()
        for key in ("user", "host"):
            check("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.path / key))
        host_key = (self.path / "host.pub").read_text().split()[:2]
        known = "".join(f"{name},{self.ip(name)} {' '.join(host_key)}\n" for name in self.names)
        (self.path / "known_hosts").write_text(known)
        hosts = "".join(f"Host {name}\n  HostName {self.ip(name)}\n" for name in self.names)
        self.ssh_config.write_text(
            f"{hosts}Host *\n  IdentityFile {self.path}/user\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.path}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        )
        passwd = [
            line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("root:")
        ]
        (self.path / "passwd").write_text("\n".join([f"root:x:0:0:root:{self.home}:/bin/sh", *passwd, ""]))
        (self.path / "resolv.conf").write_text("")  # no name server: nobody waits for one that is not there
        Path("/run/sshd").mkdir(exist_ok=True)
        self.write_inventory()

    def _connect(self, name: str) -> None:
        """A network of its own, with a cable to the switch, and an empty home."""
        namespace = f"{self.switch}-{name}"
        check("ip", "netns", "add", namespace)
        check(
            "ip",
            "-n",
            self.switch,
            "link",
            "add",
            f"p-{name}",
            "type",
            "veth",
            "peer",
            "eth0",
            "netns",
            namespace,
        )
        check("ip", "-n", self.switch, "link", "set", f"p-{name}", "master", "br0", "up")
        check("ip", "-n", namespace, "addr", "add", f"{self.ip(name)}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            check("ip", "-n", namespace, "link", "set", link, "up")
        tree = self.tree(name)
        (tree / ".ssh").mkdir(parents=True)
        shutil.copy(self.path / "user.pub", tree / ".ssh" / "authorized_keys")
        (tree / "machine-id").write_text(uuid.uuid4().hex + "\n")
        (tree / "sshd_config").write_text(
            f"HostKey {self.path}/host\nAuthorizedKeysFile {self.home}/.ssh/authorized_keys\nStrictModes no\n"
            "UsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\nPidFile none\n"
        )

    def _start(self, name: str) -> None:
        with (self.path / f"{name}.log").open("wb") as log:
            self._sshds[name] = subprocess.Popen(
                self._machine(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": PATH},
            )

    def _machine(self, name: str) -> list[str]:
        """The command whose child is the first process of a machine."""
        sshd = f"exec {tool('sshd')} -D -e -f {self.home}/sshd_config"
        return self._isolated(name, f"{self._own_files(name)} && {sshd}")

    def _isolated(self, name: str, script: str, *more: str) -> list[str]:
        """The command that runs a script in a machine's own network and new namespaces of the other kinds."""
        namespaces = ["--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child", *more]
        network = [tool("ip"), "netns", "exec", f"{self.switch}-{name}"]
        return [*network, tool("unshare"), *namespaces, "/bin/sh", "-c", script]

    def _own_files(self, name: str) -> str:
        """Shell text that gives a machine its host name, its home and files of its own."""
        tree = self.tree(name)
        return (
            f"hostname {name} && mount --bind {tree} {self.home} && "
            f"mount --bind {tree}/machine-id /etc/machine-id && "
            f"mount --bind {self.path}/passwd /etc/passwd && "
            f"mount --bind {self.path}/resolv.conf /etc/resolv.conf"
        )

    def _wait_for_ssh(self, name: str) -> None:
        probe = f"import socket; socket.create_connection(('{self.ip(name)}', 22), 1)"

        def answers() -> bool:
            assert self._sshds[name].poll() is None, (self.path / f"{name}.log").read_text()
            return not subprocess.run(
                self.outside(sys.executable, "-c", probe), capture_output=True
            ).returncode

        wait_until(answers)

    def _child(self, name: str) -> int:
        return self._child_of(self._sshds[name])

    def _child_of(self, process: subprocess.Popen[bytes]) -> int:
        """The first process of a machine, as the host counts."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return int(children[0])
