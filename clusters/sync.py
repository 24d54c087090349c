"""The project and its locked environment copied to every node: all at once, only what differs there.

What decides is the hash of the packages' files, and that of requirements.lock with the Python's version; both
are left on the node after copying. A Python that the inventory names is never touched.
"""

from __future__ import annotations

import hashlib
import io
import platform
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clusters import paths
from clusters.errors import ClusterError, HostError
from clusters.inventory import Inventory, Node
from clusters.remote import Completed, on_all, runner, shell_path
from ray_contract import PACKAGES

LOCK = "requirements.lock"
LEFT_OUT = ("__pycache__",)

ASK_S = 15.0
SEND_S = 120.0
INSTALL_S = 900.0


@dataclass(frozen=True)
class Synced:
    """What was copied to a node, `project` or `environment`; `error` where a copy failed."""

    node: str
    brought: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Wanted:
    """What every node is to have: the packages as a tar archive, hashes, and the Python's version."""

    archive: bytes
    project: str
    environment: str
    python: str


def sync(inventory: Inventory, say: Callable[[str], None]) -> list[Synced]:
    """Copy what differs to all nodes. Raises ClusterError where there is no lock file."""
    wanted = gather(Path(__file__).parents[1], own_environment=inventory.own_environment)
    done, lost = on_all(inventory.nodes, lambda node: _sync_node(inventory, node, wanted, say))
    failed = {name: Synced(name, error=str(error)) for name, error in lost.items()}
    return [{**done, **failed}[node.name] for node in inventory.nodes]


def gather(root: Path, *, own_environment: bool = True) -> Wanted:
    """What lies in the project's folder. Raises ClusterError without a lock file, where one is needed."""
    lock = root / LOCK
    if not lock.exists() and own_environment:
        raise ClusterError(
            f"{root}: no {LOCK} beside the packages; the nodes' environment is made from it. "
            "Run sync from a checkout of the project, or name `environment: {python: ...}` in the inventory"
        )
    names = [name for name in PACKAGES if (root / name).is_dir()]
    files = [file for name in names for file in sorted((root / name).rglob("*")) if _travels(file)]
    files += [lock] if lock.exists() else []
    buffer, digest = io.BytesIO(), hashlib.sha256()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files:
            name = str(file.relative_to(root))
            archive.add(file, name)
            digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    python = platform.python_version()
    locked = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else ""
    return Wanted(buffer.getvalue(), digest.hexdigest(), locked, python)


def _travels(file: Path) -> bool:
    return file.is_file() and not any(part in LEFT_OUT for part in file.parts)


def _sync_node(inventory: Inventory, node: Node, wanted: Wanted, say: Callable[[str], None]) -> Synced:
    project, stamp = paths.project(inventory), paths.stamp(inventory)
    asked = runner(inventory, node)
    version = f"{shell_path(inventory.python)} -c 'import platform; print(platform.python_version())'"
    reads = (f"cat {shell_path(project)}/.sha256", f"cat {shell_path(stamp)}", version)
    script = "\n".join(f'echo "$({read} 2>/dev/null)"' for read in reads)
    lines = [*asked.run(script, deadline_s=ASK_S).out.splitlines(), "", "", ""]
    has_project, has_lock, has_python = (line.strip() for line in lines[:3])
    brought = []
    if has_project != wanted.project:
        say(f"{node.name}: sending the project")
        script = _SEND.format(project=shell_path(project), sha256=wanted.project)
        _require(node, "tar", asked.run(script, deadline_s=SEND_S, stdin=wanted.archive))
        brought.append("project")
    if inventory.own_environment and (has_lock, has_python) != (wanted.environment, wanted.python):
        say(f"{node.name}: making its environment; fetching packages takes minutes")
        script = _INSTALL.format(
            env=shell_path(f"{inventory.folder}/env"),
            project=shell_path(project),
            python=wanted.python,
            minor=wanted.python.rpartition(".")[0],
            sha256=wanted.environment,
        )
        _require(node, "the environment", asked.run(script, deadline_s=INSTALL_S))
        brought.append("environment")
    return Synced(node.name, tuple(brought))


def _require(node: Node, ran: str, done: Completed) -> None:
    """Raise HostError with the error that a script printed, where it failed."""
    if done.code:
        said = done.out + done.err
        saw, _, fix = _fault(said).partition(" -> ")
        hints = [hint for pattern, hint in _FIXES.items() if re.search(pattern, said, re.IGNORECASE)]
        fixes = [fix] if fix else [*hints, "fix that, then run sync again"]
        raise HostError(node.name, ran, f"exit code {done.code}: {saw}", fixes[0])


def _fault(said: str) -> str:
    """The last line, or all lines from the first on that pip or uv calls an error: theirs name it in many."""
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()] or ["no output"]
    errors = [number for number, line in enumerate(lines) if line.lower().startswith("error:")]
    return " ".join(lines[errors[0] :] if errors else lines[-1:])


_FIXES = {
    "hash mismatch|do not match the hashes": "its package index has another file than the lock file names: "
    "check which index pip or uv uses there, or update the lock file here: make lock",
    "connection broken|name resolution|dns error|error sending request": "it cannot reach the "
    "package index: check its network, and which proxy pip or uv uses there",
}


# The old files stay until the new ones are complete.
_SEND = """\
set -e
umask 077
mkdir -p {project}.new
rm -rf {project}.new
mkdir {project}.new
tar -xf - -C {project}.new
echo {sha256} > {project}.new/.sha256
rm -rf {project}.old
[ ! -e {project} ] || mv {project} {project}.old
mv {project}.new {project}
rm -rf {project}.old
"""

# A login that is not interactive has a short PATH: uv is looked for where its installers put it. On the node
# where this is typed, -I keeps a PYTHONPATH out: pip would take what lies there for installed.
_INSTALL = """\
set -e
PATH="$HOME/.local/bin:$HOME/.cargo/bin:/opt/homebrew/bin:/usr/local/bin:$PATH"
lock={project}/requirements.lock
rm -f {env}/lock.sha256
if command -v uv >/dev/null; then
    uv venv --quiet --clear --python {python} {env}
    uv pip install --quiet --python {env}/bin/python --require-hashes --requirements "$lock"
else
    found=$(python{minor} -c 'import platform; print(platform.python_version())' 2>/dev/null || true)
    if [ "$found" != {python} ]; then
        echo "no uv and no Python {python} there (python{minor} is ${{found:-missing}})" \\
            "-> curl -LsSf https://astral.sh/uv/install.sh | sh" >&2
        exit 1
    fi
    if ! python{minor} -I -c 'import ensurepip, venv' 2>/dev/null; then
        echo "python{minor} there cannot make environments -> sudo apt-get install python{minor}-venv, or:" \\
            "curl -LsSf https://astral.sh/uv/install.sh | sh" >&2
        exit 1
    fi
    python{minor} -I -m venv --clear {env}
    {env}/bin/python -I -m pip install --quiet --disable-pip-version-check \\
        --require-hashes --requirement "$lock"
fi
{env}/bin/python -c "import sys, sysconfig, pathlib
pathlib.Path(sysconfig.get_path('purelib'), 'sweep-project.pth').write_text(sys.argv[1])" {project}
echo {sha256} > {env}/lock.sha256
"""
