"""`cluster reserve` with this machine as a node: reserved, listed, released, and what is refused."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from clusters import ask as asking
from clusters import reserve
from clusters.errors import ClusterError
from clusters.inventory import Inventory, parse
from clusters.lifecycle.status import status
from clusters.remote import Local
from ray_contract.owner import OwnerRules, taken


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """Two entries that are both this machine, with a folder of ours in a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(asking, "runner", lambda inventory, node: Local(node.name))
    nodes = "nodes:\n  - {name: a, ip: 10.0.0.1}\n  - {name: b, ip: 10.0.0.2}\n"
    return parse(f"{nodes}environment: {{python: {sys.executable}}}\n", Path("lab.yaml"))


def rules(tmp_path: Path) -> OwnerRules:
    return OwnerRules(f"{tmp_path}/.sweep/clusters/lab")


def refused(lab: Inventory, name: str, seconds: float = 60.0) -> str:
    with pytest.raises(ClusterError) as caught:
        reserve.reserve(lab, name, seconds)
    (line,) = str(caught.value).splitlines()
    return line


def test_a_node_is_reserved_once_seen_by_what_looks_there_and_released(
    lab: Inventory, tmp_path: Path
) -> None:
    assert [each.by for each in reserve.reservations(lab)] == [None, None]
    made = reserve.reserve(lab, "a", 7200.0)
    assert made.by is not None
    assert made.left_s == pytest.approx(7200.0)
    assert str(made).startswith(f"a: reserved by {made.by} for 2 h 00 min, until ")
    seen = taken(rules(tmp_path), now=time.time(), idle_s=None)
    assert seen is not None
    assert seen.why == f"reserved by {made.by}"
    said = refused(lab, "a")
    assert said.startswith("a: is already reserved for another ")
    assert said.endswith("To end that: python -m sweep cluster reserve lab.yaml a --release")
    assert reserve.release(lab, "a").by is None
    assert taken(rules(tmp_path), now=time.time(), idle_s=None) is None
    with pytest.raises(ClusterError, match="a: is not reserved, so there is nothing to release"):
        reserve.release(lab, "a")


def test_the_status_says_for_whom_a_node_is_reserved(lab: Inventory) -> None:
    made = reserve.reserve(lab, "b", 7200.0)
    found = {each.node: each.reserved for each in status(lab).nodes}
    for name, text in found.items():  # they are one machine here
        assert text.startswith(f"{name}: reserved by {made.by} for 2 h 00 min, until ")


def test_one_that_is_over_makes_room_and_a_damaged_one_is_released(lab: Inventory, tmp_path: Path) -> None:
    reserve.reserve(lab, "a", 0.001)
    time.sleep(0.01)
    assert reserve.reservations(lab)[0].by is None
    assert reserve.reserve(lab, "a", 60.0).by
    (tmp_path / ".sweep/clusters/lab/reserved.json").write_text("{")
    assert "cannot be read" in refused(lab, "a")
    assert reserve.release(lab, "a").by is None


def test_what_is_refused(lab: Inventory) -> None:
    assert refused(lab, "studio") == "lab.yaml: there is no node studio; known here: a, b"
    for text in ("soon", "0s", "-1h", "", "2 weeks"):
        with pytest.raises(ClusterError, match=r"--for: must be a duration above zero"):
            reserve.seconds_of(text)
    with pytest.raises(ClusterError, match=r"--for: must be at most 30d; found `31d`"):
        reserve.seconds_of("31d")
    with pytest.raises(ClusterError, match="name the node"):
        reserve.check_asked(None, "2h", release=False)
    for lasts, release in ((None, False), ("2h", True)):
        with pytest.raises(ClusterError, match="reserve a: pass one of --for TIME"):
            reserve.check_asked("a", lasts, release=release)


@pytest.mark.parametrize(("ahead_s", "way"), [(-600.0, "behind"), (600.0, "ahead of"), (5.0, "")])
def test_clocks_that_differ_are_named_and_the_nodes_own_counts(
    lab: Inventory, monkeypatch: pytest.MonkeyPatch, ahead_s: float, way: str
) -> None:
    real = time.time
    monkeypatch.setattr("clusters.reserve.time.time", lambda: real() - ahead_s)
    made = reserve.reserve(lab, "a", 60.0)
    said = f"a: its clock is 10 min {way} this machine's; it counts by its own" if way else ""
    assert made.note == said
    assert made.left_s == pytest.approx(60.0)
    assert json.loads(json.dumps(made.__dict__))["node"] == "a"
