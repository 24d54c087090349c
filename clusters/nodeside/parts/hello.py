"""What a node is asked before Ray is started there: versions, ports that are free, what the probes say."""

import hashlib
import os
import subprocess

from clusters.nodeside.parts.listening import listen
from clusters.nodeside.parts.starting import read
from clusters.nodeside.parts.versions import versions

PROBES_S = 20


def hello(config):
    ports: dict = {}
    for ip, wanted in ((config["ip"], config["ports"]), ("127.0.0.1", config["local_ports"])):
        servers, states = listen(ip, wanted)
        ports |= states
        for server in servers:
            server.close()
    probes = subprocess.run(
        ["/bin/sh", "-c", config["probes"]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROBES_S,
    )
    token = read(os.path.expanduser(config["token"]))
    said = {"versions": versions(), "ports": ports, "probes": probes.stdout}
    said["token_sha256"] = hashlib.sha256(token.encode()).hexdigest() if token else None
    if config["is_head"]:
        said["token"] = token
    return said
