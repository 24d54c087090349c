"""How a driver joins: what it is given, and what is said where `up` left nothing."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clusters import connection as module
from clusters.connection import connection, is_here
from clusters.errors import ClusterError
from clusters.inventory import Inventory, Node, parse

TEXT = """
nodes:
  - {name: far, ip: 10.255.1.1, role: head, ssh: me@far}
  - {name: near, ip: 10.255.1.2, slots: 2, tags: [fast], reserve: 2 GB}
environment: {folder: "%s"}
auth: {tls: "%s"}
"""


def lab(folder: Path, *, tls: str = "off") -> Inventory:
    return parse(TEXT % (folder, tls), Path("lab.yaml"))


@pytest.fixture
def on_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_own_address", lambda ip: ip == "10.255.1.2")


@contextmanager
def up(folder: Path) -> Iterator[Path]:
    """What an agent that lives leaves in its folder."""
    own = folder / "clusters" / "lab"
    own.mkdir(parents=True)
    (own / "token").write_text("secret")
    with (own / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield own


@pytest.mark.usefixtures("on_near")
def test_a_driver_is_told_address_environment_and_places(tmp_path: Path) -> None:
    with up(tmp_path) as own:
        joined = connection(lab(tmp_path))
    assert joined.address == "10.255.1.1:6379"
    assert joined.environment["RAY_AUTH_MODE"] == "token"
    assert joined.environment["RAY_AUTH_TOKEN_PATH"] == str(own / "token")
    assert joined.environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "1"
    assert "RAY_USE_TLS" not in joined.environment
    assert joined.nodes == (
        Node("far", "me@far", "10.255.1.1", True),
        Node("near", None, "10.255.1.2", False, 2, ("fast",), 2_000_000_000),
    )


@pytest.mark.usefixtures("on_near")
def test_what_up_left_must_be_there_and_live(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"near: Ray is not running here; run .* cluster up lab\.yaml"):
        connection(lab(tmp_path))
    with up(tmp_path):
        connection(lab(tmp_path))
    with pytest.raises(ClusterError, match="near: Ray is not running here"):
        connection(lab(tmp_path))


@pytest.mark.usefixtures("on_near")
def test_a_token_or_certificate_that_is_missing_is_named(tmp_path: Path) -> None:
    with up(tmp_path) as own:
        with pytest.raises(ClusterError, match=r"near: .*/lab/tls/node\.crt cannot be read; run "):
            connection(lab(tmp_path, tls="auto"))
        (own / "token").unlink()
        with pytest.raises(ClusterError, match=r"near: .*/lab/token cannot be read; run "):
            connection(lab(tmp_path))


def test_a_machine_outside_of_the_inventory_is_sent_to_the_head(tmp_path: Path) -> None:
    assert not is_here(lab(tmp_path))
    with pytest.raises(ClusterError, match=r"none of its addresses.* on far: ssh me@far"):
        connection(lab(tmp_path))
