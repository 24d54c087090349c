"""Run on the head by `doctor` while Ray is up: joins it, and runs a task on every node, pinned by its label.

Its one argument is a JSON object: address, ip, environment, doors {name: [ip, port]}. It prints JSON:
nodes as Ray has them, and for each that has a label the result of connecting from its task to each door.
"""

import json
import logging
import os
import sys

config = json.loads(sys.argv[1])
os.environ.update({name: os.path.expanduser(value) for name, value in config["environment"].items()})

import ray  # noqa: E402

ANSWER_S = 40.0


def knock(doors):
    import errno
    import socket

    found = {}
    for name, (ip, port) in doors.items():
        try:
            socket.create_connection((ip, port), 3).close()
            found[name] = "ok"
        except TimeoutError:
            found[name] = "ETIMEDOUT"
        except OSError as error:
            found[name] = errno.errorcode.get(error.errno or 0, str(error))
    return found


def ask_all(nodes):
    """What a task on each node says; one that is not placed or does not answer in time is left out."""
    remote = ray.remote(num_cpus=0, max_retries=0)(knock)
    refs = {}
    for node in nodes:
        name = node["labels"].get("sweep.node")
        if name:
            refs[remote.options(label_selector={"sweep.node": name}).remote(config["doors"])] = name
    done, _ = ray.wait(list(refs), num_returns=len(refs), timeout=ANSWER_S) if refs else ([], [])
    answers = {}
    for ref in done:
        try:
            answers[refs[ref]] = ray.get(ref)
        except ray.exceptions.RayError as error:
            answers[refs[ref]] = {"it": str(error).splitlines()[0]}
    return answers


ray.init(
    config["address"],
    _node_ip_address=config["ip"],
    log_to_driver=False,
    logging_level=logging.ERROR,
    namespace="sweep-doctor",
)
nodes = [
    {"ip": node["NodeManagerAddress"], "labels": node.get("Labels") or {}, "resources": node["Resources"]}
    for node in ray.nodes()
    if node["Alive"]
]
answers = ask_all(nodes)
ray.shutdown()
print(json.dumps({"nodes": nodes, "answers": answers}), flush=True)
