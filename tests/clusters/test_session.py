"""A node's session with agents that say what real ones seldom do; and the supervisor's file."""

from __future__ import annotations

import fcntl
import json
from dataclasses import replace
from pathlib import Path

import pytest

from clusters.connection import is_held
from clusters.inventory import Inventory, Node, parse
from clusters.lifecycle import states
from clusters.lifecycle.session import Head, NodeSession
from clusters.lifecycle.states import NodeProgress, Phase, SupervisorState

HELLO = {"versions": {"python": "3.11.7"}, "ports": {"6380": "listening"}, "probes": "", "token_sha256": None}


def inventory(python: Path) -> Inventory:
    text = f"nodes: [{{name: a, ip: 10.1.1.1}}]\nenvironment: {{python: {python}}}\n"
    lab = parse(text, Path("lab.yaml"))
    return replace(lab, nodes=(Node("a", None, "127.0.0.1", is_head=True),))


def outcome(tmp_path: Path, *says: object, code: int = 0) -> NodeProgress:
    """What a session says at last of an agent that says this, whatever it is told."""
    python = tmp_path / "python"
    lines = [line if isinstance(line, str) else json.dumps(line) for line in says]
    (tmp_path / "says").write_text("".join(f"{line}\n" for line in lines))
    python.write_text(f"#!/bin/sh\ncat {tmp_path}/says\nexit {code}\n")
    python.chmod(0o755)
    return first_failure(inventory(python))


def first_failure(lab: Inventory) -> NodeProgress:
    failed: list[NodeProgress] = []

    def say(state: NodeProgress) -> None:
        if state.phase is Phase.FAILED:
            failed.append(state)
            session.leave()

    session = NodeSession(lab, lab.head, Head(), by="me@here", say=say)
    session.start()
    session.join()
    return failed[0]


@pytest.mark.parametrize(
    ("says", "text"),
    [
        (
            [{"held": {"by": "you@there"}}],
            "a: its lock: already up, held by you@there; left as it is; to hold it from here, "
            "stop it there first: python -m sweep cluster down lab.yaml",
        ),
        (
            [{**HELLO, "ports": {"6379": "EADDRNOTAVAIL"}}],
            "a: its ports: EADDRNOTAVAIL on 127.0.0.1:6379; correct `ip` or `ports` in the inventory",
        ),
        (
            [{**HELLO, "token": None}, {"ended": 1, "log": "x\nValueError: no\n  by\n"}],
            "a: ray start: ended with exit code 1: ValueError: no; see ~/.sweep/clusters/lab/agent.log there",
        ),
        (["Welcome!"], "a: sh: said `Welcome!`; remove whatever prints from the shell start-up files there"),
    ],
)
def test_what_an_agent_says_is_one_line_with_a_fix(tmp_path: Path, says: list[object], text: str) -> None:
    assert str(outcome(tmp_path, *says)) == text


def test_an_agent_that_ends_without_a_word(tmp_path: Path) -> None:
    assert str(outcome(tmp_path, code=3)).startswith("a: sh: ended with code 3: no output; ")


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    python = tmp_path / "none"
    text = f"a: {python}: there is no {python}; run python -m sweep cluster sync lab.yaml"
    assert str(first_failure(inventory(python))) == text


def test_what_the_supervisor_says_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    lab = inventory(tmp_path)
    assert states.read(lab) is None
    states.folder(lab).mkdir(parents=True)
    state = NodeProgress("a", Phase.UP, 2, 1.5, about={"chip": "Apple M1"})
    kept = SupervisorState(7, "/lab.yaml", states.fixed(lab), 2, (state,))
    states.write(lab, kept)
    assert states.read(lab) == kept
    assert states.supervisor_state(lab).name == "supervisor.json"
    other = replace(lab, ports=lab.ports.model_copy(update={"gcs": 7000}))
    assert states.fixed(other) != states.fixed(lab)


def test_a_supervisor_of_the_version_before_is_found_by_its_old_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    lab = inventory(tmp_path)
    folder = states.folder(lab)
    folder.mkdir(parents=True)
    node = {"node": "a", "phase": "failed", "round": 1, "since_s": 1.5, "saw": "no answer", "cure": "wake it"}
    kept = {"pid": 7, "inventory": "/lab.yaml", "fixed": states.fixed(lab), "round": 1, "nodes": [node]}
    (folder / "keeper.json").write_text(json.dumps(kept))
    assert states.read(lab) is None, "it has ended"
    with (folder / "keeper.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert is_held(states.supervisor_lock(lab))
        found = states.read(lab)
    assert found is not None
    assert str(found.nodes[0]) == "a: no answer; wake it"
