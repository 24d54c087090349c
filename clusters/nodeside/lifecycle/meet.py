"""Run on every node by `up` with daemons: what is there, before anything is changed.

Its one argument is a JSON object: an agent's config, and folder, authority. It prints a line of JSON:
what an agent answers, holder, order, state, a hash of the trusted authority; null where there is none.
"""

import hashlib
import json
import os
import sys

from clusters.nodeside.parts.hello import hello
from clusters.nodeside.parts.holding import held_by
from clusters.nodeside.parts.starting import read, read_json


def main():
    config = json.loads(sys.argv[1])
    folder = os.path.expanduser(config["folder"])
    found = held_by(config["lock"])
    if found and found.get("ray"):
        config |= {"ports": [], "local_ports": []}
    authority = read(os.path.expanduser(config["authority"]))
    return {
        **hello(config),
        "holder": found,
        "order": read_json(f"{folder}/order.json"),
        "state": read_json(f"{folder}/state.json"),
        "authority_sha256": hashlib.sha256(authority.encode()).hexdigest() if authority else None,
    }


print(json.dumps(main()), flush=True)
