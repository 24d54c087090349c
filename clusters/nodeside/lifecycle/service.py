"""A service that runs daemon.py for a cluster, of launchd or systemd: its text, and its scripts.

Root installs and removes it, by install.sh and remove.sh in the cluster's folder; it runs as the node's user.
"""

import os
import plistlib
import pwd
import re
import shlex
import subprocess
import sys

ENDED_WITHIN_S = 60
FILES = 65_536
ROOT_S = 90.0
PATH = "/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin:/usr/sbin:/sbin"

INSTALL_LAUNCHD = """\
#!/bin/sh
# Installs the launchd service {name}. Run as root.
set -e
install -o root -g wheel -m 644 {text} {file}
launchctl bootout system/{name} 2>/dev/null || true
left={end_s}
while launchctl print system/{name} >/dev/null 2>&1 && [ $left -gt 0 ]; do
    sleep 1
    left=$((left - 1))
done
launchctl enable system/{name}
launchctl bootstrap system {file}
"""

REMOVE_LAUNCHD = """\
#!/bin/sh
# Removes the launchd service {name}. Run as root.
launchctl bootout system/{name}
rm -f {file}
"""

INSTALL_SYSTEMD = """\
#!/bin/sh
# Installs the systemd service {name}. Run as root.
set -e
install -o root -g root -m 644 {text} {file}
systemctl daemon-reload
systemctl enable --quiet {name}
systemctl restart {name}
"""

REMOVE_SYSTEMD = """\
#!/bin/sh
# Removes the systemd service {name}. Run as root.
systemctl disable --quiet --now {name}
rm -f {file}
systemctl daemon-reload
"""

UNIT = """\
[Unit]
Description=Ray of the cluster {cluster}, held by sweep
After=network.target
StartLimitIntervalSec=0

[Service]
User={user}
WorkingDirectory={home}
Environment={environment}
ExecStart={command}
UMask=0077
Restart=always
RestartSec=15
# Only the program gets the signal; it ends its Ray and waits for it.
KillMode=mixed
TimeoutStopSec={end_s}
# A trial that runs out of memory ends alone.
OOMPolicy=continue
LimitNOFILE={open_files}
TasksMax=infinity
StandardOutput=append:{log}
StandardError=append:{log}

[Install]
WantedBy=multi-user.target
"""


class Service:
    """What is the same on both systems; `folder` and `python` are absolute paths."""

    named, place, install, remove = "", "", "", ""

    def __init__(self, cluster, folder, python):
        self.cluster, self.folder = cluster, folder
        self.user, self.home = pwd.getpwuid(os.getuid()).pw_name, os.path.expanduser("~")
        self.command = [python, f"{folder}/daemon.py"]
        self.environment = {"HOME": self.home, "PATH": f"{os.path.dirname(python)}:{PATH}"}
        self.log = f"{folder}/daemon.log"

    def scripts(self):
        """What root runs, by the names of the files."""
        fill = {"name": self.name, "file": shlex.quote(self.file), "end_s": ENDED_WITHIN_S}
        fill["text"] = shlex.quote(f"{self.folder}/service")
        return {"install.sh": self.install.format(**fill), "remove.sh": self.remove.format(**fill)}

    @property
    def name(self):
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.named.format(f"{self.cluster}.{self.user}"))

    @property
    def file(self):
        return self.place.format(self.name)

    def is_there(self):
        return os.path.exists(self.file)

    def is_as_wanted(self):
        """Whether it is installed with just this text, and the system has it."""
        try:
            with open(self.file) as file:
                return file.read() == self.text() and self.is_loaded()
        except OSError:
            return False

    def text(self):
        raise NotImplementedError

    def is_loaded(self):
        raise NotImplementedError


class LaunchDaemon(Service):
    """On macOS."""

    named, place = "sweep.{}", "/Library/LaunchDaemons/{}.plist"
    install, remove = INSTALL_LAUNCHD, REMOVE_LAUNCHD

    def text(self):
        said = {
            "Label": self.name,
            "UserName": self.user,
            "WorkingDirectory": self.home,
            "ProgramArguments": self.command,
            "EnvironmentVariables": self.environment,
            "Umask": 0o077,
            "RunAtLoad": True,
            "KeepAlive": True,
            "ThrottleInterval": 15,
            "ExitTimeOut": ENDED_WITHIN_S,
            "ProcessType": "Interactive",  # else launchd holds its processor and disk back
            "SoftResourceLimits": {"NumberOfFiles": FILES},
            "HardResourceLimits": {"NumberOfFiles": FILES},
            "StandardOutPath": self.log,
            "StandardErrorPath": self.log,
        }
        return plistlib.dumps(said).decode()

    def is_loaded(self):
        return is_fine("launchctl", "print", f"system/{self.name}")


class Unit(Service):
    """On Linux."""

    named, place = "sweep-{}", "/etc/systemd/system/{}.service"
    install, remove = INSTALL_SYSTEMD, REMOVE_SYSTEMD

    def text(self):
        return UNIT.format(
            cluster=self.cluster,
            user=self.user,
            home=self.home.replace("%", "%%"),
            environment=" ".join(quoted(f"{name}={value}") for name, value in self.environment.items()),
            command=" ".join(quoted(word) for word in self.command),
            end_s=ENDED_WITHIN_S,
            open_files=FILES,
            log=self.log.replace("%", "%%"),
        )

    def is_loaded(self):
        return is_fine("systemctl", "is-active", self.name)


def quoted(word):
    """A word as a line of a unit has it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def is_fine(*command):
    try:
        return not subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode
    except OSError:
        return False


def service_of(config):
    """A cluster's service, by its config: cluster, folder, python; None without systemd or launchd."""
    folder, python = (os.path.expanduser(config[name]) for name in ("folder", "python"))
    if sys.platform == "darwin":
        return LaunchDaemon(config["cluster"], folder, python)
    return Unit(config["cluster"], folder, python) if os.path.isdir("/run/systemd/system") else None


def as_root(script):
    """Run a script as root; None, or why it did not run (`refused`) or what it printed (`failed`)."""
    command = ["/bin/sh", script]
    if os.geteuid() != 0:
        command = ["sudo", "-n", *command]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ROOT_S
        )
    except FileNotFoundError:
        return {"refused": "no sudo there"}
    except subprocess.TimeoutExpired:
        return {"failed": f"did not end within {ROOT_S:.0f} s"}
    if done.returncode == 0:
        return None
    last = (done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1]
    return {"refused" if last.startswith("sudo:") else "failed": last}
