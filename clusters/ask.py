"""A program run on a node, and the JSON object that it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from clusters import nodeside
from clusters.errors import HostError
from clusters.inventory import Inventory, Node
from clusters.remote import runner, shell_path


def ask(
    inventory: Inventory,
    node: Node,
    program: str,
    config: Mapping[str, Any],
    *,
    deadline_s: float,
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a program of `nodeside` answers on a node; `given` is its stdin, which `ps` does not show.

    Raises HostError where it does not answer.
    """
    script = nodeside.command(shell_path(inventory.python), program, json.dumps(config))
    stdin = b"" if given is None else json.dumps(given).encode()
    done = runner(inventory, node).run(script, deadline_s=deadline_s, stdin=stdin)
    if done.code in (126, 127):
        raise no_python(inventory, node)
    with suppress(ValueError, IndexError):
        said: dict[str, Any] = json.loads(done.out.splitlines()[-1])
        return said
    last = (done.err.strip().splitlines() or ["no output"])[-1]
    fix = f"run python -m sweep cluster doctor {inventory.file}"
    raise HostError(node.name, f"{inventory.python} ({program})", f"exit code {done.code}: {last}", fix)


def no_python(inventory: Inventory, node: Node) -> HostError:
    """The inventory's Python is not on a node."""
    python = inventory.python
    fix = f"run python -m sweep cluster sync {inventory.file}"
    return HostError(node.name, python, f"there is no {python}", fix)
