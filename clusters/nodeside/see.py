"""Run on every node by `status`: who holds the agent's lock there, and what the probes say.

Its one argument is a JSON object: lock, probes. It prints a line of JSON: holder, null for none; probes.
"""

import json
import subprocess
import sys

from clusters.nodeside.holding import held_by


def main():
    told = json.loads(sys.argv[1])
    probes = subprocess.run(
        ["/bin/sh", "-c", told["probes"]], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return {"holder": held_by(told["lock"]), "probes": probes.stdout}


print(json.dumps(main()), flush=True)
