"""Drivers on a machine of a lab: one that joins as a study does, one that knocks with a token of its own."""

from __future__ import annotations

import subprocess
import sys

from tests.clusters.lab import ROOT, Lab

ASK = """
import json, os, sys
from pathlib import Path
from clusters import connection, inventory
lab = inventory.load(Path(sys.argv[1]))
joined = connection.connection(lab)
os.environ.update(joined.environment)
import ray
ray.init(joined.address, _node_ip_address=connection.here(lab).ip, log_to_driver=False, logging_level="ERROR")
where = ray.remote(num_cpus=0, resources={"mlx_slot": 1})(lambda: os.uname().nodename)
names = {node["Labels"]["sweep.node"]: node for node in ray.nodes() if node["Alive"]}
refs = {name: where.options(label_selector={"sweep.node": name}).remote() for name in names}
print(json.dumps({
    name: [node["NodeManagerAddress"], node["Resources"], ray.get(refs[name])] for name, node in names.items()
}))
"""

KNOCK = """
import os, sys
os.environ |= {"RAY_AUTH_MODE": sys.argv[2], "RAY_AUTH_TOKEN": sys.argv[3]}
from ray._raylet import GcsClient
try:
    print(len(GcsClient(sys.argv[1]).get_all_node_info(timeout=5)))
except Exception as error:
    print(error)
"""


def driver(lab: Lab, name: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = lab.inside(name, "env", f"PYTHONPATH={ROOT}", sys.executable, "-c", code, *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
