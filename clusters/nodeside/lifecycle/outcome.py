"""Run on a node by `up` with daemons: waits a while until an order has come to something.

Its one argument is a JSON object: folder, order (its id), seconds. It prints a line of JSON: state.
"""

import json
import os
import sys
import time

from clusters.nodeside.parts.starting import read_json


def main():
    config = json.loads(sys.argv[1])
    file = f"{os.path.expanduser(config['folder'])}/state.json"
    deadline = time.monotonic() + config["seconds"]
    while True:
        state = read_json(file)
        is_its = state is not None and state["order"] == config["order"]
        is_settled = is_its and (state["phase"] == "up" or state.get("failed", 0) > 1)
        if is_settled or time.monotonic() > deadline:
            return {"state": state if is_its else None}
        time.sleep(0.1)


print(json.dumps(main()), flush=True)
