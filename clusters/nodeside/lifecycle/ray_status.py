"""Run on the head by `status`: prints what Ray knows of its nodes as a line of JSON, by name.

Its one argument is a JSON object: address, environment. It joins nothing: the head's own record is read.
"""

import json
import os
import sys

config = json.loads(sys.argv[1])
os.environ.update({name: os.path.expanduser(value) for name, value in config["environment"].items()})

from ray._raylet import GcsClient  # type: ignore[attr-defined]  # noqa: E402
from ray.autoscaler.v2.sdk import get_cluster_resource_state  # noqa: E402

DEAD = 2
state = get_cluster_resource_state(GcsClient(config["address"]))
nodes = {
    node.labels.get("sweep.node", node.node_ip_address): {
        "ip": node.node_ip_address,
        "labels": dict(node.labels),
        "resources": dict(node.total_resources),
        "free": dict(node.available_resources),
    }
    for node in state.node_states
    if node.status != DEAD
}
print(json.dumps(nodes), flush=True)
