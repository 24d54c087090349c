"""Run on a node by `up` with daemons: writes its files, installs its service, and gives it an order.

Its argument is a JSON object: cluster, folder, python. Its stdin is one too: files, texts by path, and order.
It prints a line of JSON: {}, or why the service was not installed, `refused` or `failed`, and the script.
"""

import json
import os
import sys

from clusters.nodeside.lifecycle.service import as_root, service_of
from clusters.nodeside.parts.starting import write_private


def main():
    config, given = json.loads(sys.argv[1]), json.load(sys.stdin)
    service = service_of(config)
    if service is None:
        return {"failed": "there is no systemd"}
    for path, text in given["files"].items():
        write_private(os.path.expanduser(path), text)
    for name, text in {**service.scripts(), "service": service.text()}.items():
        write_private(f"{service.folder}/{name}", text)
    with open(service.log, "a"):
        pass  # owned by the user, not by root
    if not service.is_as_wanted():
        script = f"{service.folder}/install.sh"
        wrong = as_root(script)
        if wrong is not None:
            return {**wrong, "script": script}
    write_private(f"{service.folder}/order.json", json.dumps(given["order"]))
    return {}


print(json.dumps(main()), flush=True)
