"""Run on every node by `status`: who holds the agent's lock there, and what the probes say.

Its one argument is a JSON object: lock, probes, folder. It prints a line of JSON: holder, null for none;
probes; order, whether there is one for a daemon; state, what a daemon said last.
"""

import json
import os
import subprocess
import sys

from clusters.nodeside.holding import held_by
from clusters.nodeside.starting import read_json


def main():
    told = json.loads(sys.argv[1])
    probes = subprocess.run(
        ["/bin/sh", "-c", told["probes"]], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    folder = os.path.expanduser(told["folder"])
    return {
        "holder": held_by(told["lock"]),
        "probes": probes.stdout,
        "order": os.path.exists(f"{folder}/order.json"),
        "state": read_json(f"{folder}/state.json"),
    }


print(json.dumps(main()), flush=True)
