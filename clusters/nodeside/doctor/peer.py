"""Run on every node at once by `doctor`: describes its node, listens, tries all others, and ends.

Its one argument is a JSON object: ip, ports, and the paths temp_dir, stamp, lock and token. It prints
JSON, waits for a line that names peers {name: [ip, ports]}, prints which it reached, and ends with its stdin.
"""

import hashlib
import importlib.util
import json
import os
import platform
import socket
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

from clusters.nodeside.parts.holding import held_by
from clusters.nodeside.parts.listening import listen, name_of
from clusters.nodeside.parts.versions import versions

CONNECT_S = 3.0

METAL = """
import json, time, mlx.core as mx
a = mx.random.normal((1024, 1024)); mx.eval(a @ a)
info = mx.device_info() if hasattr(mx, "device_info") else mx.metal.device_info()
print(json.dumps({"device": mx.default_device().type.name, "info": {k: str(v) for k, v in info.items()}}))
"""


def read(path):
    try:
        with open(os.path.expanduser(path), "rb") as file:
            return file.read()
    except OSError:
        return None


def token_at(path):
    """The hash of a token and who may read it; None where there is none."""
    text = read(path)
    if text is None:
        return None
    mode = os.stat(os.path.expanduser(path)).st_mode & 0o777
    return {"sha256": hashlib.sha256(text.strip()).hexdigest(), "mode": f"{mode:o}"}


def wheel_tag(name):
    try:
        text = metadata.distribution(name).read_text("WHEEL") or ""
    except metadata.PackageNotFoundError:
        return None
    tags = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("Tag:")]
    return tags[0] if tags else None


def listeners():
    """The real paths of the programs that listen: Python's, and two of Ray's."""
    # A framework build of Python starts an application, and the firewall sees that one.
    framework = os.path.join(sys.base_prefix, "Resources/Python.app/Contents/MacOS/Python")
    paths = [framework if os.path.exists(framework) else sys.executable]
    ray = importlib.util.find_spec("ray")
    if ray is not None and ray.origin:
        folder = os.path.join(os.path.dirname(ray.origin), "core/src/ray")
        paths += [f"{folder}/raylet/raylet", f"{folder}/gcs/gcs_server"]
    return [os.path.realpath(path) for path in paths if os.path.exists(path)]


def accelerator():
    try:
        done = subprocess.run([sys.executable, "-c", METAL], capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return {"error": "no answer within 20 s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def connect(ip, port):
    try:
        socket.create_connection((ip, port), CONNECT_S).close()
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as error:
        return name_of(error)
    return "ok"


def main():
    wanted = json.loads(sys.argv[1])
    servers, ports = listen(wanted["ip"], wanted["ports"])
    stamp = read(wanted["stamp"])
    about = {
        "executable": sys.executable,
        "listeners": listeners(),
        "machine": platform.machine(),
        "platform": sysconfig.get_platform(),
        "versions": versions(),
        "wheel": wheel_tag("mlx-metal") or wheel_tag("mlx"),
        "lock": stamp.decode().strip() if stamp else None,
        "accelerator": accelerator(),
        "temp_dir": os.path.expanduser(wanted["temp_dir"]),
        "ports": ports,
        "holder": held_by(wanted["lock"]),
        "token": token_at(wanted["token"]),
    }
    print(json.dumps(about), flush=True)
    line = sys.stdin.readline()
    if not line:
        return
    tries = [(name, ip, port) for name, (ip, open_ports) in json.loads(line).items() for port in open_ports]
    with ThreadPoolExecutor(max_workers=max(1, min(64, len(tries)))) as pool:
        results = list(pool.map(lambda one: connect(one[1], one[2]), tries))
    reached: dict = {}
    for (name, _, port), result in zip(tries, results, strict=True):
        reached.setdefault(name, {})[str(port)] = result
    print(json.dumps(reached), flush=True)
    sys.stdin.read()
    for server in servers:
        server.close()


main()
