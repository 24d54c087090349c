"""Which nodes of a cluster a study may use, and what is said where it may use none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweep.errors import SweepError
from sweep.executors.cluster import Cluster, ClusterNode, tagged
from sweep.executors.packaging import StudyPackage
from sweep.executors.ray import joined as joined_module
from sweep.executors.ray.joined import JoinedRayCluster
from sweep.executors.ray.nodes import ClusterSnapshot, RayNode
from sweep.executors.ray.setup import RayError
from tests.processes import wait_until

GB = 10**9
NODES = (
    ClusterNode("a", "10.0.0.1", 1, ("fast", "quiet"), 4 * GB),
    ClusterNode("b", "10.0.0.2", 2, ("fast",), 12 * GB),
)

Join = Callable[..., JoinedRayCluster]


@pytest.fixture
def join(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Join]:
    """Joins a cluster whose nodes are the given ones: Ray itself is left out."""
    joined = []

    def make(*living: RayNode, min_memory_bytes: int = 0, takes_others: bool = False) -> JoinedRayCluster:
        monkeypatch.setattr(joined_module, "living_nodes", lambda _: {node.id: node for node in living})
        monkeypatch.setattr(joined_module, "head", lambda: None)
        cluster = Cluster("lab.yaml", "10.0.0.1:6379", "10.0.0.1", {}, NODES, min_memory_bytes, takes_others)
        joined.append(JoinedRayCluster(cluster, StudyPackage(tmp_path, ())))
        joined[-1].start()
        return joined[-1]

    monkeypatch.setattr("sweep.executors.ray.setup.ray.init", lambda **_: None)
    monkeypatch.setattr("sweep.executors.ray.setup.ray.shutdown", lambda: None)
    yield make
    for each in joined:
        each.close()


def seen(joined: JoinedRayCluster) -> list[RayNode]:
    found: list[ClusterSnapshot | None] = [None]

    def polled() -> bool:
        found[0] = joined.poll(time.monotonic() - 100)
        return found[0] is not None

    wait_until(polled)
    assert found[0] is not None
    return list(found[0].nodes.values())


def test_nodes_of_the_inventory_are_used_and_without_required_tags_those_that_it_got_since(
    join: Join,
) -> None:
    nodes = RayNode("1", "a", 1, 0.0, 28 * GB), RayNode("2", "x", 1, 0.0, 99 * GB)
    joined = join(*nodes)
    assert joined.slots == 3
    assert seen(joined) == [nodes[0]]
    assert seen(join(*nodes, takes_others=True)) == list(nodes)


def test_only_nodes_with_enough_memory_are_used_their_users_share_included(join: Join) -> None:
    nodes = RayNode("1", "a", 1, 0.0, 28 * GB), RayNode("2", "b", 2, 0.0, 12 * GB)
    assert [node.name for node in seen(join(*nodes, min_memory_bytes=32 * GB))] == ["a"]


def test_invariant_10_where_no_node_has_enough_memory_all_are_named_with_theirs(join: Join) -> None:
    nodes = RayNode("1", "a", 1, 0.0, 28 * GB), RayNode("2", "b", 2, 0.0, 0)
    with pytest.raises(SweepError) as raised:
        seen(join(*nodes, min_memory_bytes=64 * GB))
    assert str(raised.value) == (
        "lab.yaml: no node that the study may use has 64 GB of memory (require.min_memory): a has 32 GB, b "
        "does not tell its memory. Require less, or start what is missing: python -m sweep cluster up "
        "lab.yaml"
    )


def test_what_is_not_up_yet_is_waited_for_but_not_for_ever(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = join(RayNode("1", "a", 1, 0.0, 28 * GB), min_memory_bytes=64 * GB)
    assert seen(joined) == []
    monkeypatch.setattr(joined_module, "COMES_S", 0.0)
    with pytest.raises(SweepError, match="a has 32 GB, b is not up\\."):
        joined.poll(None)


def test_invariant_10_a_head_that_answers_no_more_is_an_error_that_says_what_to_do(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = join(RayNode("1", "a", 1, 0.0, 28 * GB))
    monkeypatch.setattr(joined_module, "UNANSWERED_S", -1.0)
    with pytest.raises(SweepError, match=r"has not answered .* safe. Start it again .* cluster up lab.yaml"):
        joined.poll(None)


def test_invariant_10_a_head_that_was_started_anew_is_an_error_that_says_what_to_do(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise RayError(
            "RPC error: WrongClusterID: Perhaps the client is accessing GCS after it has restarted."
        )

    joined = join(RayNode("1", "a", 1, 0.0, 28 * GB))
    seen(joined)
    monkeypatch.setattr(joined_module, "living_nodes", refuse)
    with pytest.raises(SweepError, match=r"10.0.0.1:6379 was restarted, .* run the same command to resume"):
        seen(joined)


def test_invariant_10_a_cluster_that_cannot_be_joined_is_an_error_that_says_what_to_do(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("nobody there\n  at all")

    monkeypatch.setattr("sweep.executors.ray.setup.ray.init", refuse)
    with pytest.raises(SweepError, match=r"lab.yaml: cannot join the cluster .*: nobody there. Start it: .*"):
        join()


def test_a_node_must_have_all_of_the_tags() -> None:
    assert [node.name for node in tagged(NODES, ["fast"])] == ["a", "b"]
    assert [node.name for node in tagged(NODES, ["fast", "quiet"])] == ["a"]
    assert tagged(NODES, ["loud"]) == ()
