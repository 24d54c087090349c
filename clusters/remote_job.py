"""A command of the user's that runs on the head, in a folder of its own there, after this machine has left.

It is a Ray job: what Ray started keeps its way to the other nodes when an SSH login ends.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusters import nodeside, paths
from clusters.addresses import with_addresses
from clusters.errors import ClusterError, HostError
from clusters.inventory import Inventory
from clusters.remote import Ssh, end_group, runner, shell_path, ssh_error

ASK_S = 30.0
START_S = 200.0
SLOWEST_BYTES_A_SECOND = 500_000
"""Sending is given up where it takes longer than at this rate."""

PROGRAM = "remote_job.py"
NO_CODE = 70
SSH_FAILED = 255


@dataclass(frozen=True)
class RemoteJob:
    """A job, known by its name on the head. All calls raise HostError where the head is not reached."""

    inventory: Inventory
    name: str

    @property
    def folder(self) -> str:
        """Where it lies on the head: what was sent (`study`, `code`), `runs`, `log`."""
        return f"{self.inventory.folder}/studies/{self.name}"

    @property
    def host(self) -> str:
        return self.inventory.head.name

    def is_running(self) -> bool:
        return bool(self._ask("state")["running"])

    def send(self, archive: bytes) -> None:
        """Put the files of a tar archive there, in place of those of last time; `runs` stay."""
        folder = shell_path(self.folder)
        script = (
            f"set -e; umask 077; mkdir -p {folder}; cd {folder}; rm -rf new; mkdir new; tar -xf - -C new; "
            "for each in new/*; do rm -rf ./${each#new/}; mv $each .; done; rmdir new"
        )
        deadline_s = ASK_S + len(archive) / SLOWEST_BYTES_A_SECOND
        done = self._runner().run(script, deadline_s=deadline_s, stdin=archive)
        if done.code:
            self._fail("tar", done.err)

    def start(self, arguments: Sequence[str]) -> None:
        """Start `python ARGUMENTS` there, in `study`, with `code` to import from.

        Raises ClusterError where it runs already, or Ray does not take it.
        """
        more = {
            "arguments": list(arguments),
            "dashboard": self.inventory.ports.dashboard,
            "environment": paths.environment(self.inventory),
            "id": f"sweep-{self.name}-{time.time_ns() // 1_000_000}",
        }
        said = self._ask("start", deadline_s=START_S, **more)
        if said.get("running"):
            raise ClusterError(f"{self.host}: {self.name} is already running there")
        if "error" in said:
            fix = f"run python -m sweep cluster up {self.inventory.file}"
            raise HostError(self.host, "ray job submit", said["error"], fix)

    def call(self, arguments: Sequence[str]) -> tuple[int, str, str]:
        """Run `python ARGUMENTS` there beside the job, with its code: its exit code, and what it printed."""
        said = self._ask("call", arguments=list(arguments), environment=paths.environment(self.inventory))
        return int(said["code"]), str(said["out"]), str(said["err"])

    def follow(self) -> int | None:
        """Print its output from the beginning until it ends; its exit code, None where it left none."""
        command = self._runner().command(self._script("follow"))
        code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        if code == SSH_FAILED:
            fix = "the study keeps running there; check that the head is awake and on this network"
            raise HostError(self.host, "ssh", "the connection broke", fix)
        return None if code == NO_CODE else code

    def stop(self) -> bool:
        """Ask it to stop, as Ctrl-C does; whether it was running."""
        return bool(self._ask("stop")["running"])

    def fetch(self, into: Path) -> None:
        """Copy what lies in its `runs` into a folder here, over what was fetched before."""
        # On macOS tar would write a ._ file beside each that has attributes.
        script = f"cd {shell_path(self.folder)}/runs && COPYFILE_DISABLE=1 exec tar -cf - ."
        process = subprocess.Popen(
            self._runner().command(script),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        into.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                archive.extractall(into, filter="data")
        except tarfile.TarError:
            process.stdout.read()
            said = process.stderr.read().decode(errors="replace")
            if process.wait() == SSH_FAILED:
                raise self._ssh_error(said) from None
            self._fail("tar", said or "no output")
        finally:
            end_group(process)

    def _runner(self) -> Any:
        return runner(self.inventory, self.inventory.head)

    def _script(self, do: str, **more: Any) -> str:
        config = json.dumps({"do": do, "folder": self.folder, **more})
        return nodeside.command(shell_path(self.inventory.python), "remote_job", config)

    def _ask(self, do: str, *, deadline_s: float = ASK_S, **more: Any) -> dict[str, Any]:
        done = self._runner().run(self._script(do, **more), deadline_s=deadline_s)
        try:
            said: dict[str, Any] = json.loads(done.out)
        except ValueError:
            self._fail(self.inventory.python, done.err)
        return said

    def _fail(self, ran: str, said: str) -> Any:
        lines = [line.strip() for line in said.splitlines() if line.strip()] or ["no output"]
        fix = f"run python -m sweep cluster doctor {self.inventory.file}"
        raise HostError(self.host, ran, lines[-1], fix)

    def _ssh_error(self, said: str) -> HostError:
        reached = self._runner()
        target = reached.target if isinstance(reached, Ssh) else self.host
        return ssh_error(self.host, target, said)


def remote_job(inventory: Inventory, name: str) -> RemoteJob:
    """The job of this name. Raises HostError where an address of the inventory is not known."""
    return RemoteJob(with_addresses(inventory), name)
