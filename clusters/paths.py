"""Where things of ours lie on every node, and what Ray's processes find in their environment; pure.

~/.sweep/env/             the environment, where it is ours
~/.sweep/project/         the packages of this project, from `sync`
~/.sweep/r/               Ray's own files
~/.sweep/clusters/lab/    what belongs to the cluster of this name: token, tls/, agent.lock, agent.log,
                          reserved.json, and of a daemon daemon.py, order.json, state.json, install.sh,
                          remove.sh, daemon.log
"""

from __future__ import annotations

from typing import Any

import ray_contract
from clusters.inventory import Inventory, Node
from ray_contract.owner import RESERVATION


def project(inventory: Inventory) -> str:
    """The packages of this project, where `sync` has brought them."""
    return f"{inventory.folder}/project"


def stamp(inventory: Inventory) -> str:
    """The file that holds the hash of the lock file that a node's environment was made from."""
    return f"{inventory.folder}/env/lock.sha256"


def temp_dir(inventory: Inventory) -> str:
    """Ray's own files; short, since a socket's path has at most 103 bytes, and not under /tmp."""
    return f"{inventory.folder}/r"


def own(inventory: Inventory) -> str:
    """What belongs to the cluster of this name."""
    return f"{inventory.folder}/clusters/{inventory.name}"


def token(inventory: Inventory) -> str:
    """The cluster's secret: with it, any program can connect and run code on all nodes."""
    return f"{own(inventory)}/token"


def tls(inventory: Inventory) -> tuple[str, str, str]:
    """A node's certificate, its key, and the certificate of the authority that all trust."""
    folder = f"{own(inventory)}/tls"
    return f"{folder}/node.crt", f"{folder}/node.key", f"{folder}/ca.crt"


def lock(inventory: Inventory) -> str:
    """The file that a node's agent and its Ray keep locked as long as either lives."""
    return f"{own(inventory)}/agent.lock"


DAEMON = "a daemon"
"""The holder of a node that runs Ray as its own service; every other holder is a supervisor."""


def reservation(inventory: Inventory) -> str:
    """Says that a node is its owner's for a while."""
    return f"{own(inventory)}/{RESERVATION}"


HEALTH_CHECK = {
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
}
"""Ray's head drops a node that misses three checks in a row: 15 s after its link broke."""


def log(inventory: Inventory) -> str:
    """What `ray start` said on a node when it was last started."""
    return f"{own(inventory)}/agent.log"


def daemon(inventory: Inventory) -> str:
    """The program of the service that holds a node."""
    return f"{own(inventory)}/daemon.py"


def daemon_log(inventory: Inventory) -> str:
    """That program's stdout and stderr: errors that it did not expect."""
    return f"{own(inventory)}/daemon.log"


def service(inventory: Inventory) -> dict[str, str]:
    """What `nodeside/lifecycle/service.py` takes."""
    return {"cluster": inventory.name, "folder": own(inventory), "python": inventory.python}


def environment(inventory: Inventory) -> dict[str, str]:
    """What head, workers and drivers must all have in their environment; `~/` is still to be expanded."""
    found = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
        "RAY_prestart_worker_first_driver": "0",  # without our code: nothing would take them, 80 MB each
        **ray_contract.ENVIRONMENT,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": token(inventory),
        **HEALTH_CHECK,
    }
    if inventory.tls:
        certificate, key, authority = tls(inventory)
        found |= {
            "RAY_USE_TLS": "1",
            "RAY_TLS_SERVER_CERT": certificate,
            "RAY_TLS_SERVER_KEY": key,
            "RAY_TLS_CA_CERT": authority,
        }
    return found


def ports(inventory: Inventory, node: Node) -> list[int]:
    """The ports that must be free on a node and reachable from the others; the head has one more."""
    chosen = inventory.ports
    own = [chosen.node_manager, chosen.object_manager, chosen.workers]
    return [chosen.gcs, *own] if node.is_head else own


def for_peer(inventory: Inventory, node: Node) -> dict[str, Any]:
    """What `nodeside/doctor/peer.py` takes."""
    return {
        "ip": node.address,
        "ports": ports(inventory, node),
        "temp_dir": temp_dir(inventory),
        "stamp": stamp(inventory),
        "lock": lock(inventory),
        "token": token(inventory),
    }
