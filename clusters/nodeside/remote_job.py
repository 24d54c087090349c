"""A command on the head that outlives the login that started it: run as a Ray job, followed, stopped.

Its one argument is a JSON object; `do` is one of state, start, run, call, follow, stop, `folder` is the job's
own. There: lock (held while it runs), pid, ended (its exit code), log; study and code, as they were sent.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time

from clusters.nodeside.parts.raycommand import ray_command

DASHBOARD_S = 40
SUBMIT_S = 60
BEGIN_S = 60
NO_CODE = 70


def place(config, name):
    return os.path.join(os.path.expanduser(config["folder"]), name)


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def is_running(config):
    try:
        with open(place(config, "lock"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def state(config):
    print(json.dumps({"running": is_running(config)}))


def wait_for_dashboard(port):
    """It takes jobs some seconds after Ray says that it is up."""
    deadline = time.monotonic() + DASHBOARD_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)


def start(config):
    """Hand it to Ray: Ray's processes keep network access when this login ends."""
    if is_running(config):
        print(json.dumps({"running": True}))
        return
    for name in ("pid", "ended", "log"):
        if os.path.exists(place(config, name)):
            os.remove(place(config, name))
    environment = {name: os.path.expanduser(value) for name, value in config["environment"].items()}
    order = json.dumps({**config, "do": "run"})
    submit = [
        *ray_command("ray.dashboard.modules.job.cli"),
        *("job", "submit", "--no-wait"),
        *("--address", f"http://127.0.0.1:{config['dashboard']}", "--submission-id", config["id"], "--"),
        *(sys.executable, place(config, "remote_job.py"), order),
    ]
    wait_for_dashboard(config["dashboard"])
    done = subprocess.run(
        submit,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SUBMIT_S,
    )
    deadline = time.monotonic() + BEGIN_S
    while done.returncode == 0 and not read(place(config, "pid")) and time.monotonic() < deadline:
        time.sleep(0.1)
    if read(place(config, "pid")):
        print(json.dumps({"started": True}))
    else:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if "rror" in line] or lines or ["no output"]
        print(json.dumps({"error": errors[-1] if done.returncode else "the job did not start"}))


def surroundings(config):
    """The environment of what runs there: our code, and nothing of the job's."""
    known = {name: os.path.expanduser(value) for name, value in config["environment"].items()}
    environment = {**os.environ, **known, "PYTHONPATH": place(config, "code")}
    for name in ("RAY_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR"):  # it joins the cluster by itself
        environment.pop(name, None)
    return environment


def call(config):
    """Run a command beside the job, to its end."""
    done = subprocess.run(
        [sys.executable, *config["arguments"]],
        cwd=place(config, "study"),
        env=surroundings(config),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    print(json.dumps({"code": done.returncode, "out": done.stdout, "err": done.stderr}))


def run(config):
    """Inside the job: run the command, its output and exit code in files."""
    with open(place(config, "lock"), "a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with open(place(config, "log"), "wb") as log:
            driver = subprocess.Popen(
                [sys.executable, *config["arguments"]],
                cwd=place(config, "study"),
                env=surroundings(config),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock.fileno()],
            )
        with open(place(config, "pid"), "w") as file:
            file.write(str(driver.pid))
        code = driver.wait()
        with open(place(config, "ended"), "w") as file:
            file.write(str(code))


def follow(config):
    """Print its output until it ends, and exit with its code; end, too, when the reader is gone."""
    with open(place(config, "log"), "rb") as log:
        while True:
            running = is_running(config)
            said = log.read()
            if said:
                sys.stdout.buffer.write(said)
                sys.stdout.buffer.flush()
            elif not running:
                break
            elif os.getppid() == 1:
                return
            else:
                time.sleep(0.2)
    sys.exit(int(read(place(config, "ended")) or NO_CODE) % 256)


def stop(config):
    """Ask it to stop, as Ctrl-C does."""
    running, pid = is_running(config), read(place(config, "pid"))
    if running and pid:
        os.kill(int(pid), signal.SIGTERM)
    print(json.dumps({"running": running}))


def main():
    config = json.loads(sys.argv[1])
    verbs = {"state": state, "start": start, "run": run, "call": call, "follow": follow, "stop": stop}
    verbs[config["do"]](config)


main()
