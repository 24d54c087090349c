"""A node's hold against agents that say what real ones seldom do; and the keeper's file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from clusters.inventory import Inventory, Node, parse
from clusters.lifecycle import states
from clusters.lifecycle.hold import Head, Hold
from clusters.lifecycle.states import Kept, NodeState, Phase

HELLO = {"versions": {"python": "3.11.7"}, "ports": {"6380": "listening"}, "probes": "", "token_sha256": None}


def inventory(python: Path) -> Inventory:
    text = f"nodes: [{{name: a, ip: 10.1.1.1}}]\nenvironment: {{python: {python}}}\n"
    lab = parse(text, Path("lab.yaml"))
    return replace(lab, nodes=(Node("a", None, "127.0.0.1", is_head=True),))


def outcome(tmp_path: Path, *says: object, code: int = 0) -> NodeState:
    """What a hold says at last of an agent that says this, whatever it is told."""
    python = tmp_path / "python"
    lines = [line if isinstance(line, str) else json.dumps(line) for line in says]
    (tmp_path / "says").write_text("".join(f"{line}\n" for line in lines))
    python.write_text(f"#!/bin/sh\ncat {tmp_path}/says\nexit {code}\n")
    python.chmod(0o755)
    return first_failure(inventory(python))


def first_failure(lab: Inventory) -> NodeState:
    failed: list[NodeState] = []

    def say(state: NodeState) -> None:
        if state.phase is Phase.FAILED:
            failed.append(state)
            hold.leave()

    hold = Hold(lab, lab.head, Head(), by="me@here", say=say)
    hold.start()
    hold.join()
    return failed[0]


@pytest.mark.parametrize(
    ("says", "text"),
    [
        (
            [{"held": {"by": "you@there"}}],
            "a: its lock: up already, held from you@there; it stays as it is; to hold it from here, "
            "end it there: python -m sweep cluster down lab.yaml",
        ),
        (
            [{**HELLO, "ports": {"6379": "EADDRNOTAVAIL"}}],
            "a: its ports: EADDRNOTAVAIL on 127.0.0.1:6379; correct `ip` or `ports` in the inventory",
        ),
        (
            [{**HELLO, "token": None}, {"ended": 1, "log": "x\nValueError: no\n  by\n"}],
            "a: ray start: ended with code 1: ValueError: no; "
            "look into ~/.sweep/clusters/lab/agent.log there",
        ),
        (["Welcome!"], "a: sh: said `Welcome!`; let no shell start-up file print anything"),
    ],
)
def test_what_an_agent_says_is_one_line_with_a_cure(tmp_path: Path, says: list[object], text: str) -> None:
    assert str(outcome(tmp_path, *says)) == text


def test_an_agent_that_ends_without_a_word(tmp_path: Path) -> None:
    assert str(outcome(tmp_path, code=3)).startswith("a: sh: ended with code 3: nothing said; ")


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    python = tmp_path / "none"
    text = f"a: {python}: there is no {python}; python -m sweep cluster sync lab.yaml"
    assert str(first_failure(inventory(python))) == text


def test_what_the_keeper_says_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    lab = inventory(tmp_path)
    assert states.read(lab) is None
    states.folder(lab).mkdir(parents=True)
    state = NodeState("a", Phase.UP, 2, 1.5, about={"chip": "Apple M1"})
    kept = Kept(7, "/lab.yaml", states.fixed(lab), 2, (state,))
    states.write(lab, kept)
    assert states.read(lab) == kept
    other = replace(lab, ports=lab.ports.model_copy(update={"gcs": 7000}))
    assert states.fixed(other) != states.fixed(lab)
