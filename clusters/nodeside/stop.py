"""Run on a node by `down`: ends what an agent of this cluster holds there, if one is left.

Its one argument is a JSON object: lock, by. It prints a line of JSON: was_up, ended, or held_by.
"""

import json
import os
import sys

from clusters.nodeside.holding import end_holder, holder, try_lock


def main():
    told = json.loads(sys.argv[1])
    path = os.path.expanduser(told["lock"])
    if not os.path.exists(path):
        return {"was_up": False}
    with open(path, "a+") as lock:
        if try_lock(lock):
            return {"was_up": False}
        found = holder(lock)
        if found.get("by") != told["by"]:
            return {"was_up": True, "held_by": found.get("by", "an agent that is starting")}
        return {"was_up": True, "ended": end_holder(lock)}


print(json.dumps(main()), flush=True)
