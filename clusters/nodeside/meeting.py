"""What a node is asked before Ray is started there: versions, ports that are free, what the probes say."""

import hashlib
import os
import subprocess

from clusters.nodeside.listening import listen
from clusters.nodeside.starting import read
from clusters.nodeside.versions import versions

PROBES_S = 20


def hello(told):
    ports: dict = {}
    for ip, wanted in ((told["ip"], told["ports"]), ("127.0.0.1", told["local_ports"])):
        servers, states = listen(ip, wanted)
        ports |= states
        for server in servers:
            server.close()
    probes = subprocess.run(
        ["/bin/sh", "-c", told["probes"]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROBES_S,
    )
    token = read(os.path.expanduser(told["token"]))
    said = {"versions": versions(), "ports": ports, "probes": probes.stdout}
    said["token_sha256"] = hashlib.sha256(token.encode()).hexdigest() if token else None
    if told["is_head"]:
        said["token"] = token
    return said
