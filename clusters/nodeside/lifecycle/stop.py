"""Run on a node by `down`: ends this cluster's agent, if it is this supervisor's, or its daemon.

Its one argument is a JSON object: lock, by, cluster, folder, python. It prints a line of JSON: was_up, ended,
or held_by; where a daemon's service is still there also why, `refused` or `failed`, and the script.
"""

import json
import os
import sys

from clusters.nodeside.lifecycle.service import as_root, service_of
from clusters.nodeside.parts.holding import DAEMON, END_S, end_holder, holder, try_lock, wait_until


def withdraw(folder):
    """Take the order away; whether there was one."""
    try:
        os.remove(f"{folder}/order.json")
    except FileNotFoundError:
        return False
    return True


def end(config, was_ordered):
    path = os.path.expanduser(config["lock"])
    if not os.path.exists(path):
        return {"was_up": False}
    with open(path, "a+") as lock:
        if try_lock(lock):
            return {"was_up": False}
        by = holder(lock).get("by")
        if was_ordered and by == DAEMON and wait_until(lambda: try_lock(lock), 2 * END_S):
            return {"was_up": True, "ended": True}
        if by not in (config["by"], DAEMON):
            return {"was_up": True, "held_by": by or "an agent that is starting"}
        return {"was_up": True, "ended": end_holder(lock)}


def main():
    config = json.loads(sys.argv[1])
    folder = os.path.expanduser(config["folder"])
    said = end(config, withdraw(folder))
    service = service_of(config)
    if service is None or not service.is_there():
        return said
    script = f"{folder}/remove.sh"
    wrong = as_root(script)
    return said if wrong is None else {**said, **wrong, "script": script}


print(json.dumps(main()), flush=True)
