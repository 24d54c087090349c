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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import psutil

from tests.processes import children, title, wait_until

ROOT = Path(__file__).parents[2]
FIRST_ID = 4242
NO_USERS: Mapping[str, str] = MappingProxyType({})
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

    def __init__(
        self, names: Sequence[str], *, subnet: str = "10.213.7", users: Mapping[str, str] = NO_USERS
    ) -> None:
        self.names = list(names)
        self._users = users  # of machines where another than root is logged in to, with a home of that name
        self.path = Path(tempfile.mkdtemp(prefix="lab", dir="/tmp"))
        self.home = self.path / "home"
        self.switch = f"sw-{self.path.name[3:]}"
        self._subnet = subnet
        self._sshds: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self.path.chmod(0o755)
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

    def user(self, name: str) -> str:
        """As whom a machine is logged in to."""
        return self._users.get(name, "root")

    def home_on(self, name: str) -> Path:
        """A machine's home as it is called there."""
        return self.path / f"home-{self._users[name]}" if name in self._users else self.home

    def give(self, name: str) -> None:
        """Make all files of a machine its user's."""
        check("chown", "-R", f"{self._id(self.user(name))}", str(self.tree(name)))

    def _id(self, user: str) -> int:
        return FIRST_ID + sorted(self._users.values()).index(user) if user != "root" else 0

    @property
    def ssh_config(self) -> Path:
        return self.path / "ssh_config"

    @property
    def inventory(self) -> Path:
        return self.path / "lab.yaml"

    def write_inventory(self, *changes: tuple[str, str]) -> Path:
        """The inventory of all machines, with parts of its text replaced."""
        lines = [
            f"  - {{name: {name}, ssh: {self.user(name)}@{name}, ip: {self.ip(name)}}}" for name in self.names
        ]
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
        home, id = f"HOME={self.home_on(name)}", str(self._id(self.user(name)))
        return [
            tool("nsenter"),
            "-t",
            sshd,
            "--net",
            "--mount",
            "--pid",
            "--uts",
            *([tool("setpriv"), "--reuid", id, "--regid", id, "--clear-groups"] if id != "0" else []),
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

    def supervisor(self) -> int:
        """The process on the laptop that holds the cluster up."""
        kept = self.path / "laptop" / ".sweep" / "clusters" / "lab" / "supervisor.json"
        pid: int = json.loads(kept.read_text())["pid"]
        return pid

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

    def mend(self) -> None:
        """Switch on what is off, and plug in what was cut: a test that failed may have left it so."""
        for name in self.names:
            self.plug(name)
            if name not in self._sshds:
                self.boot(name)

    def close(self) -> None:
        for kept in self.path.glob("*/.sweep/clusters/*/supervisor.json"):
            pid = json.loads(kept.read_text())["pid"]
            if str(self.path) in title(pid):
                for each in (pid, *children(pid)):  # with its connections, which would wait for answers
                    with suppress(ProcessLookupError):
                        os.kill(each, signal.SIGKILL)
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
        for name in self.names:
            self.home_on(name).mkdir(exist_ok=True)
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
        own = [f"root:x:0:0:root:{self.home}:/bin/sh"]
        for name, user in self._users.items():
            own.append(f"{user}:x:{self._id(user)}:{self._id(user)}::{self.home_on(name)}:/bin/sh")
        (self.path / "passwd").write_text("\n".join([*own, *passwd, ""]))
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
            f"HostKey {self.path}/host\nAuthorizedKeysFile {self.home_on(name)}/.ssh/authorized_keys\n"
            "StrictModes no\n"
            "UsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\nPidFile none\n"
        )
        self.give(name)

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
        sshd = f"exec {tool('sshd')} -D -e -f {self.home_on(name)}/sshd_config"
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
            f"{self._python_for_all() if self._users else ''}"
            f"hostname {name} && mount --bind {tree} {self.home_on(name)} && "
            f"mount --bind {tree}/machine-id /etc/machine-id && "
            f"mount --bind {self.path}/passwd /etc/passwd && "
            f"mount --bind {self.path}/resolv.conf /etc/resolv.conf"
        )

    def _python_for_all(self) -> str:
        """Shell text that lets every user read this Python where its folder is closed to others."""
        wanted = {Path(path) for path in (sys.base_prefix, sys.prefix, str(ROOT), *sys.path) if path}
        closed = {each for path in wanted for each in path.parents if not each.stat().st_mode & 0o001}
        tops = [each for each in closed if not closed & set(each.parents)]
        inside = [path for path in wanted if path.is_dir() and set(tops) & set(path.parents)]
        places = {path: self.path / "open" / str(number) for number, path in enumerate(inside)}
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        keep = [f"mount --bind {path} {place}" for path, place in places.items()]
        hide = [f"mount -t tmpfs -o mode=755 none {top}" for top in tops]
        back = [f"mkdir -p {path} && mount --bind {place} {path}" for path, place in places.items()]
        return "".join(f"{command} && " for command in (*keep, *hide, *back))

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
        return int(psutil.Process(process.pid).children()[0].pid)
