"""Run on every node by `status`: which process holds the agent's lock, and what the probes print.

Its one argument is a JSON object: lock, probes, folder. It prints a line of JSON: holder, null for none;
probes; order, whether there is one for a daemon; state, what a daemon last said; reserved, null for not.
"""

import json
import os
import subprocess
import sys
import time

from clusters.nodeside.parts.holding import held_by
from clusters.nodeside.parts.reserving import reservation
from clusters.nodeside.parts.starting import read_json


def main():
    config = json.loads(sys.argv[1])
    probes = subprocess.run(
        ["/bin/sh", "-c", config["probes"]], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    folder = os.path.expanduser(config["folder"])
    return {
        "holder": held_by(config["lock"]),
        "probes": probes.stdout,
        "order": os.path.exists(f"{folder}/order.json"),
        "state": read_json(f"{folder}/state.json"),
        "reserved": reservation(f"{folder}/{config['reservation']}", time.time()),
    }


print(json.dumps(main()), flush=True)
