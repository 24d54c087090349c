"""`cluster:` in a study file: what is said where the inventory is not there, is wrong, or is not up."""

from __future__ import annotations

import pytest

from clusters.connection import Connection
from clusters.inventory import Node
from sweep.api.cluster import joined
from sweep.errors import SpecError
from sweep.spec.parse import load
from tests.sweep.conftest import Folder
from tests.sweep.in_process import sweep

NODES = (
    Node("a", None, "10.0.0.1", True, 1, ("fast", "quiet")),
    Node("b", None, "10.0.0.2", False, 2, (), 0),
)


def write(folder: Folder, inventory: str | None) -> None:
    folder.write(("executor: inline\n", "cluster: lab.yaml\n"))
    if inventory is not None:
        (folder.path / "lab.yaml").write_text(inventory)


def test_invariant_10_an_inventory_that_is_not_there_is_said_with_the_studys_line(folder: Folder) -> None:
    write(folder, None)
    for verb in ("run", "check"):
        ended = sweep(folder, verb, "study.yaml")
        assert (ended.exit_code, ended.stdout) == (2, "")
        line = folder.study.read_text().splitlines().index("cluster: lab.yaml") + 1
        assert f"study.yaml:{line}: cluster: must" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert not folder.runs.exists()


def test_invariant_10_what_is_wrong_in_an_inventory_is_said_with_its_own_line(folder: Folder) -> None:
    write(folder, "nodes:\n  - {name: a, ip: 10.0.0.1}\n  - {name: a, ip: 10.0.0.2}\n")
    for verb in ("run", "check"):
        ended = sweep(folder, verb, "study.yaml")
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert "lab.yaml:3: nodes[1].name: must be one node's alone" in ended.stderr


def test_invariant_10_a_cluster_that_is_not_up_is_one_line_that_says_what_to_type(folder: Folder) -> None:
    # An inventory may not type 127.0.0.1; a name that is looked up may well be this machine.
    write(folder, "nodes: [{name: a, ssh: localhost}]\n")
    ended = sweep(folder, "run", "study.yaml")
    assert ended.exit_code == 2
    assert ended.stderr == "a: Ray is not running here; run python -m sweep cluster up lab.yaml\n"


@pytest.fixture
def up(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A cluster that is up, as `clusters` says it, seen from `b`."""
    write(folder, "nodes:\n  - {name: a, ip: 10.0.0.1}\n  - {name: b, ip: 10.0.0.2}\n")
    found = Connection("10.0.0.1:6379", {"RAY_AUTH_MODE": "token"}, NODES)
    monkeypatch.setattr("clusters.connection.connection", lambda inventory: found)
    monkeypatch.setattr("clusters.connection.here", lambda inventory: Node("b", None, "10.0.0.2"))
    return folder


def test_a_cluster_becomes_plain_values(up: Folder) -> None:
    found = joined(load(up.study))
    assert found is not None
    assert (found.address, found.own_ip, found.slots) == ("10.0.0.1:6379", "10.0.0.2", 3)
    assert [node.reserve_bytes for node in found.nodes] == [4_000_000_000, 0]
    assert found.takes_others


def test_only_nodes_with_all_required_tags_are_used(up: Folder) -> None:
    text = up.study.read_text()
    up.study.write_text(text + "require: {tags: [quiet, fast], min_memory: 32 GB}\n")
    found = joined(load(up.study))
    assert found is not None
    assert ([node.name for node in found.nodes], found.min_memory_bytes) == (["a"], 32_000_000_000)
    assert not found.takes_others

    up.study.write_text(text + "require: {tags: [fast, loud]}\n")
    with pytest.raises(SpecError) as raised:
        joined(load(up.study))
    line = len(text.splitlines()) + 1
    assert str(raised.value).startswith(f"{up.study}:{line}: require.tags: must all be tags of one node")
    assert "fast loud, while a has fast quiet, b has none" in str(raised.value)
