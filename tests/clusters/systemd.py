"""Machines of a lab whose first process is systemd, with hardly more than an sshd to run.

with SystemdLab(("a", "b")) as lab:    # takes cgroups of its own too; `reason_against()` says what is missing

What a distribution's systemd would do at boot reaches out of a namespace (sysctl, binfmt, remounts): its
units and generators are hidden behind a folder with the few that are needed. `/etc/systemd/system` is a
machine's own and outlives `kill`, as a disk does.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from tests.clusters import lab
from tests.clusters.lab import Lab, tool

SYSTEMD = Path("/lib/systemd/systemd")
UNITS = "/usr/lib/systemd/system"
GENERATORS = "/usr/lib/systemd/system-generators"
HYBRID = Path("/sys/fs/cgroup/unified")
"""Where the second version's cgroups are on a host that has the first one's too; elsewhere in its parent."""

TARGETS = ("sysinit", "basic", "network", "multi-user", "shutdown", "umount")
SSHD = """\
[Service]
ExecStart={sshd} -D -e -f {home}/sshd_config
KillMode=process
"""


def root() -> Path:
    """The cgroup of this host below which a machine's own is made."""
    return HYBRID if HYBRID.is_dir() else HYBRID.parent


@functools.cache
def reason_against() -> str | None:
    """Why machines with systemd cannot be made here; None where they can."""
    if found := lab.reason_against():
        return found
    if not SYSTEMD.exists() or not shutil.which("systemctl"):
        return "no systemd here"
    if not (root() / "cgroup.procs").exists():
        return f"{root()} is no cgroup of the second version"
    probe = root() / f"sweep-probe-{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        return f"no cgroup can be made in {root()}: {error.strerror}"
    mount = 'mount -t cgroup2 cgroup2 "$0" && umount "$0"'
    command = [tool("unshare"), "--mount", "--cgroup", "/bin/sh", "-c", mount, "/mnt"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"cgroups cannot be mounted: {tried.stderr.strip()}" if tried.returncode else None


class SystemdLab(Lab):
    """A lab with an init on every machine."""

    def inside(self, name: str, *command: str) -> list[str]:
        enter, *rest = super().inside(name, *command)
        return [enter, "--cgroup", *rest]

    def units(self, name: str) -> Path:
        """A machine's /etc/systemd/system."""
        return self.path / "units" / name

    def kill(self, name: str) -> None:
        super().kill(name)
        for folder, _, _ in os.walk(self._cgroup(name), topdown=False):
            os.rmdir(folder)

    def _prepare(self) -> None:
        super()._prepare()
        own = self.path / "systemd"
        (own / "multi-user.target.wants").mkdir(parents=True)
        for target in TARGETS:
            (own / f"{target}.target").write_text("[Unit]\nDefaultDependencies=no\n")
        (own / "sshd.service").write_text(SSHD.format(sshd=tool("sshd"), home=self.home))
        (own / "multi-user.target.wants" / "sshd.service").symlink_to("../sshd.service")
        (self.path / "nothing").mkdir()

    def _machine(self, name: str) -> list[str]:
        self.units(name).mkdir(parents=True, exist_ok=True)
        script = " && ".join(
            [
                self._own_files(name),
                "{ [ ! -e /etc/hostname ] || mount --bind /dev/null /etc/hostname; }",
                "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
                "mount --bind /proc/sys /proc/sys",
                "mount -o remount,bind,ro /proc/sys",
                "mount -t tmpfs tmpfs /run",
                "mkdir /run/sshd",
                f"mount --bind {self.path}/systemd {UNITS}",
                f"mount --bind {self.path}/nothing {GENERATORS}",
                f"mount --bind {self.units(name)} /etc/systemd/system",
                f"exec env container=unshare {SYSTEMD} --system --unit=multi-user.target",
            ]
        )
        cgroup = self._cgroup(name)
        cgroup.mkdir()
        into = f'echo $$ > {cgroup}/cgroup.procs && exec "$@"'
        return ["/bin/sh", "-c", into, "sh", *self._isolated(name, script, "--cgroup")]

    def _cgroup(self, name: str) -> Path:
        return root() / f"{self.path.name}-{name}"
