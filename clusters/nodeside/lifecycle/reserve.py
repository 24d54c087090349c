"""Run on a node by `reserve`: reserves it for its owner, releases it, or says how it stands.

Its one argument is a JSON object: file, do (reserve, release, look), seconds, by, clock. It prints a line of
JSON: reserved, null or by, left_s and until (the node's own time of day); done; ahead_s, by how much the
node's clock is ahead of `clock`.
"""

import fcntl
import json
import os
import sys
import time

from clusters.nodeside.parts.reserving import reservation
from clusters.nodeside.parts.starting import write_private


def main():
    config = json.loads(sys.argv[1])
    path, now = os.path.expanduser(config["file"]), time.time()
    said = {"ahead_s": now - config["clock"], "done": False}
    if config["do"] == "look":
        return {**said, "reserved": reservation(path, now)}
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(f"{path}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = reservation(path, now)
        if config["do"] == "release":
            if before is not None:
                os.remove(path)
            return {**said, "done": before is not None, "reserved": None}
        if before is not None:
            return {**said, "reserved": before}
        write_private(path, json.dumps({"until": now + config["seconds"], "by": config["by"]}))
        return {**said, "done": True, "reserved": reservation(path, now)}


print(json.dumps(main()), flush=True)
