"""A daemon's service as text, and what root runs for it: launchd, which is not at hand here, and systemd."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from clusters.nodeside.lifecycle.service import LaunchDaemon, Unit, as_root

LOADED_TWICE = """\
#!/bin/sh
echo "launchctl $*" >> "$0.log"
[ "$1" != print ] || [ $(grep -c print "$0.log") -lt 3 ]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("HOME", "/Users/me")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return tmp_path


def stand_in(
    folder: Path, name: str, text: str = '#!/bin/sh\necho "$(basename $0) $*" >> "$0.log"\n'
) -> None:
    path = folder / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def said(folder: Path, *names: str) -> list[str]:
    files = [folder / "bin" / f"{name}.log" for name in names]
    return [line for file in files for line in file.read_text().splitlines()]


def run(folder: Path, script: str) -> None:
    file = folder / "script.sh"
    file.write_text(script)
    assert as_root(str(file)) is None


def launch_daemon(folder: Path, python: str = "/python") -> LaunchDaemon:
    """One whose plist would lie in a folder of the test's."""
    made = LaunchDaemon("lab", str(folder), python)
    made.place = f"{folder}/{{}}.plist"
    return made


def test_a_launch_daemon_is_what_launchd_reads() -> None:
    made = LaunchDaemon("lab", "/Users/me/.sweep/clusters/lab", "/Users/me/.sweep/env/bin/python")
    made.user, made.environment["HOME"] = "me", "/Users/me"
    value = plistlib.loads(made.text().encode())
    assert made.file == "/Library/LaunchDaemons/sweep.lab.me.plist"
    assert (value["Label"], value["UserName"]) == ("sweep.lab.me", "me")
    assert value["ProgramArguments"] == [
        "/Users/me/.sweep/env/bin/python",
        "/Users/me/.sweep/clusters/lab/daemon.py",
    ]
    assert value["EnvironmentVariables"]["HOME"] == "/Users/me"
    assert value["EnvironmentVariables"]["PATH"].startswith("/Users/me/.sweep/env/bin:")
    assert "/usr/sbin" in value["EnvironmentVariables"]["PATH"].split(":")
    assert (value["RunAtLoad"], value["KeepAlive"], value["ThrottleInterval"]) == (True, True, 15)
    for limits in ("SoftResourceLimits", "HardResourceLimits"):
        assert value[limits] == {"NumberOfFiles": 65536}
    assert value["ExitTimeOut"] > 2 * 15, "longer than Ray is waited for"


def test_a_launch_daemon_is_made_anew_only_after_the_old_one_has_gone(folder: Path) -> None:
    made = LaunchDaemon("lab", str(folder), "/python")
    made.user = "me"
    stand_in(folder, "install")
    stand_in(folder, "launchctl", LOADED_TWICE)
    stand_in(folder, "sleep")
    run(folder, made.scripts()["install.sh"])
    file = "/Library/LaunchDaemons/sweep.lab.me.plist"
    assert said(folder, "install", "launchctl") == [
        f"install -o root -g wheel -m 644 {folder}/service {file}",
        "launchctl bootout system/sweep.lab.me",
        "launchctl print system/sweep.lab.me",
        "launchctl print system/sweep.lab.me",
        "launchctl print system/sweep.lab.me",
        "launchctl enable system/sweep.lab.me",
        f"launchctl bootstrap system {file}",
    ]


def test_a_launch_daemon_is_removed(folder: Path) -> None:
    made = launch_daemon(folder)
    Path(made.file).touch()
    assert made.is_there()
    stand_in(folder, "launchctl")
    run(folder, made.scripts()["remove.sh"])
    assert said(folder, "launchctl") == [f"launchctl bootout system/{made.name}"]
    assert not made.is_there()


def test_a_service_is_as_wanted_where_its_text_is_and_the_system_has_it(folder: Path) -> None:
    made = launch_daemon(folder)
    stand_in(folder, "launchctl")
    assert not made.is_as_wanted()
    Path(made.file).write_text(made.text())
    assert made.is_as_wanted()
    assert not launch_daemon(folder, "/another").is_as_wanted()
    stand_in(folder, "launchctl", "#!/bin/sh\nexit 113\n")
    assert not made.is_as_wanted()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_a_unit_is_what_systemd_reads(folder: Path) -> None:
    made = Unit("lab", f"{folder}/with space 100%", "/bin/sh")
    file = folder / f"{made.name}.service"
    file.write_text(made.text())
    done = subprocess.run(
        ["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f'ExecStart="/bin/sh" "{folder}/with space 100%%/daemon.py"\n' in made.text()
    assert {"Restart=always", "KillMode=mixed", "OOMPolicy=continue"} <= set(made.text().splitlines())


@pytest.mark.parametrize(
    ("sudo", "wrong"),
    [
        ('#!/bin/sh\n[ "$1" = -n ] && shift && exec "$@"\n', None),
        (
            "#!/bin/sh\necho 'sudo: a password is required' >&2; exit 1\n",
            {"refused": "sudo: a password is required"},
        ),
        (None, {"refused": "no sudo there"}),
    ],
)
def test_who_is_not_root_asks_sudo_which_never_asks_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, sudo: str | None, wrong: dict[str, str] | None
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 501)
    (folder / "script.sh").write_text("exit 0\n")
    if sudo is None:
        monkeypatch.setenv("PATH", str(folder))
    else:
        stand_in(folder, "sudo", sudo)
    assert as_root(str(folder / "script.sh")) == wrong


def test_what_a_script_of_root_said_last_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (folder / "script.sh").write_text("echo first >&2; echo Bootstrap failed: 5 >&2; exit 5\n")
    assert as_root(str(folder / "script.sh")) == {"failed": "Bootstrap failed: 5"}
