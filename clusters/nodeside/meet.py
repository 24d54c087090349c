"""Run on every node by `up` with daemons: what is there, before anything is changed.

Its one argument is a JSON object: what an agent is told, and folder, authority. It prints a line of JSON:
what an agent says, holder, order, state, a hash of the authority that is trusted; null where there is none.
"""

import hashlib
import json
import os
import sys

from clusters.nodeside.holding import held_by
from clusters.nodeside.meeting import hello
from clusters.nodeside.starting import read, read_json


def main():
    told = json.loads(sys.argv[1])
    folder = os.path.expanduser(told["folder"])
    found = held_by(told["lock"])
    if found and found.get("ray"):
        told |= {"ports": [], "local_ports": []}
    authority = read(os.path.expanduser(told["authority"]))
    return {
        **hello(told),
        "holder": found,
        "order": read_json(f"{folder}/order.json"),
        "state": read_json(f"{folder}/state.json"),
        "authority_sha256": hashlib.sha256(authority.encode()).hexdigest() if authority else None,
    }


print(json.dumps(main()), flush=True)
