"""A command that runs on the head and outlives who asked for it: started as a Ray job, followed, stopped.

Its one argument is a JSON object; `do` is one of state, start, run, follow, stop, `folder` is the errand's
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

DASHBOARD_S = 40
SUBMIT_S = 60
BEGIN_S = 60
NO_CODE = 70


def place(told, name):
    return os.path.join(os.path.expanduser(told["folder"]), name)


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def is_running(told):
    try:
        with open(place(told, "lock"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def state(told):
    print(json.dumps({"running": is_running(told)}))


def wait_for_dashboard(port):
    """It takes jobs some seconds after Ray says that it is up."""
    deadline = time.monotonic() + DASHBOARD_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)


def start(told):
    """Hand it to Ray: what Ray started keeps its way to the network when this login ends."""
    if is_running(told):
        print(json.dumps({"running": True}))
        return
    for name in ("pid", "ended", "log"):
        if os.path.exists(place(told, name)):
            os.remove(place(told, name))
    environment = {name: os.path.expanduser(value) for name, value in told["environment"].items()}
    order = json.dumps({**told, "do": "run"})
    submit = [
        *(sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--no-wait"),
        *("--address", f"http://127.0.0.1:{told['dashboard']}", "--submission-id", told["id"], "--"),
        *(sys.executable, place(told, "errand.py"), order),
    ]
    wait_for_dashboard(told["dashboard"])
    done = subprocess.run(
        submit,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SUBMIT_S,
    )
    deadline = time.monotonic() + BEGIN_S
    while done.returncode == 0 and not read(place(told, "pid")) and time.monotonic() < deadline:
        time.sleep(0.1)
    if read(place(told, "pid")):
        print(json.dumps({"started": True}))
    else:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if "rror" in line] or lines or ["nothing said"]
        print(json.dumps({"error": errors[-1] if done.returncode else "the job did not begin"}))


def run(told):
    """Inside the job: the command itself, its output and its end in files."""
    with open(place(told, "lock"), "a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        known = {name: os.path.expanduser(value) for name, value in told["environment"].items()}
        environment = {**os.environ, **known, "PYTHONPATH": place(told, "code")}
        for name in ("RAY_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR"):  # it joins the cluster by itself
            environment.pop(name, None)
        with open(place(told, "log"), "wb") as log:
            driver = subprocess.Popen(
                [sys.executable, *told["arguments"]],
                cwd=place(told, "study"),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock.fileno()],
            )
        with open(place(told, "pid"), "w") as file:
            file.write(str(driver.pid))
        code = driver.wait()
        with open(place(told, "ended"), "w") as file:
            file.write(str(code))


def follow(told):
    """Say what it says until it ends, and end as it did; end, too, when nobody listens any more."""
    with open(place(told, "log"), "rb") as log:
        while True:
            running = is_running(told)
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
    sys.exit(int(read(place(told, "ended")) or NO_CODE) % 256)


def stop(told):
    """Ask it to end in order."""
    running, pid = is_running(told), read(place(told, "pid"))
    if running and pid:
        os.kill(int(pid), signal.SIGTERM)
    print(json.dumps({"running": running}))


def main():
    told = json.loads(sys.argv[1])
    {"state": state, "start": start, "run": run, "follow": follow, "stop": stop}[told["do"]](told)


main()
