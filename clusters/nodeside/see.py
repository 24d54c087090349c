"""Run on every node by `status`: who holds the agent's lock there, and what the probes say.

Its one argument is a JSON object: lock, probes. It prints a line of JSON: holder, null for none; probes.
"""

import json
import os
import subprocess
import sys

from clusters.nodeside.holding import holder, try_lock


def main():
    told = json.loads(sys.argv[1])
    path, found = os.path.expanduser(told["lock"]), None
    if os.path.exists(path):
        with open(path, "a+") as lock:
            found = None if try_lock(lock) else holder(lock)
    probes = subprocess.run(
        ["/bin/sh", "-c", told["probes"]], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return {"holder": found, "probes": probes.stdout}


print(json.dumps(main()), flush=True)
