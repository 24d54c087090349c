"""A real study on Ray: a worker is killed, the study interrupted and resumed, the report written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from selftest.machine import is_exact
from selftest.models import PAUSE
from selftest.results import Result, Status, agreement

STUDY = """\
name: {name}
seed: 0
task: selftest.models:Pausing
objective: {{metric: validation_loss, direction: minimize}}
space: {{learning_rate: {{low: 1.0e-3, high: 1.0e-1, log: true}}}}
fixed: {{dropout: 0.1, optimizer: sgd}}
trial: {{micro_batch_size: 32, length: {{epochs: 4}}}}
sampler: {{name: random}}
budget: {{trials: {trials}}}
lanes: 1
checkpoints: {{every: 1s}}
executor: {executor}
"""
START_S = 90.0
PROMPT_S, LONG_S = 5.0, 30.0
TOLERANCE = 1e-3


def study(*, quick: bool) -> Iterator[Result]:
    """One study undisturbed in one process; the same on Ray, a worker killed, interrupted and resumed."""
    heed_ctrl_c()
    with tempfile.TemporaryDirectory(prefix="selftest") as folder:
        place = Study(Path(folder), trials=24 if quick else 48)
        place.write("undisturbed", "inline")
        place.finish("undisturbed")
        place.write("disturbed", "ray")
        with place.running("disturbed", pause_s=0.4) as driver:
            place.wait(lambda: place.told("disturbed") >= 2, driver)
            yield _listening(driver)
            killed = _kill_worker(driver)
            before = place.told("disturbed")
            place.wait(lambda: place.told("disturbed") >= before + 1, driver)
            yield _interrupted(driver)
        place.write("disturbed", "{name: ray, dashboard: false}")
        place.finish("disturbed")
        yield _compared(place, killed=killed)
        yield _report(place)


def heed_ctrl_c() -> None:
    """Where this was started by `&` in a script it ignores Ctrl-C, and what it starts would do so, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Study:
    """A folder with study files and their runs."""

    def __init__(self, folder: Path, *, trials: int, text: str = STUDY) -> None:
        self.folder, self.trials, self._text = folder, trials, text

    def write(self, name: str, executor: str) -> None:
        text = self._text.format(name=name, trials=self.trials, executor=executor)
        (self.folder / f"{name}.yaml").write_text(text)

    def run_dir(self, name: str) -> Path:
        return self.folder / "runs" / name

    @contextmanager
    def running(self, name: str, *, pause_s: float = 0.0) -> Iterator[subprocess.Popen[bytes]]:
        """Its driver, in a process group of its own, as a shell starts a command; ended with the block."""
        with (self.folder / "said").open("ab") as said:
            driver = subprocess.Popen(
                _sweep("run", f"{name}.yaml", "--no-report"),
                cwd=self.folder,
                env={**_environment(), PAUSE: str(pause_s)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        try:
            yield driver
        finally:
            _end(driver)

    def finish(self, name: str) -> None:
        """Run it to its end."""
        with self.running(name) as driver:
            if driver.wait():
                raise RuntimeError(self._last_line())

    def told(self, name: str) -> int:
        """How many of its trials have ended."""
        return self.count(name, "told")

    def count(self, name: str, event: str) -> int:
        """How many records of a kind its log has."""
        log = self.run_dir(name) / "log.jsonl"
        return log.read_bytes().count(f'"{event}"'.encode()) if log.exists() else 0

    def wait(self, condition: Callable[[], bool], driver: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_S
        while not condition():
            if driver.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._last_line())
            time.sleep(0.05)

    def _last_line(self) -> str:
        """Of what was said last, without where the results are."""
        said = (self.folder / "said").read_text(errors="replace").strip().splitlines()
        lines = [line for line in said if not line.startswith(("results:", "tables:", "report:"))]
        return lines[-1] if lines else "the study did not begin"


def _sweep(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sweep", *arguments]


def _environment() -> dict[str, str]:
    project = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([project, os.environ.get("PYTHONPATH", "")])}


def _descendants(driver: subprocess.Popen[bytes]) -> Sequence[psutil.Process]:
    return [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)]


def _listening(driver: subprocess.Popen[bytes]) -> Result:
    """The addresses on which any process of the study takes connections."""
    claim = "a local study listens on this machine's own address only"
    found: set[str] = set()
    for process in _descendants(driver):
        try:
            connections = process.net_connections(kind="inet")
        except psutil.Error:
            continue
        found |= {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
    outside = sorted(ip for ip in found if not ip.removeprefix("::ffff:").startswith(("127.", "::1")))
    if not found:
        return Result("study", "loopback", claim, Status.AMBER, "open ports cannot be listed here")
    saw = f"listens on {len(outside)} other addresses" if outside else "only on 127.0.0.1"
    return Result("study", "loopback", claim, Status.RED if outside else Status.GREEN, saw)


def _kill_worker(driver: subprocess.Popen[bytes]) -> bool:
    """Kill one process that trains; whether one was found."""
    for process in _descendants(driver)[1:]:
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if title.startswith("ray::") and "IDLE" not in title and ("slot-" in title or "Actor" in title):
            process.kill()
            return True
    return False


def _interrupted(driver: subprocess.Popen[bytes]) -> Result:
    """Ctrl-C, as a terminal sends it: to the whole process group."""
    claim = "Ctrl-C saves what runs and ends the study within 5 s"
    began = time.monotonic()
    os.killpg(driver.pid, signal.SIGINT)
    try:
        code = driver.wait(LONG_S)
    except subprocess.TimeoutExpired:
        return Result("study", "Ctrl-C", claim, Status.RED, f"still running after {LONG_S:.0f} s")
    took = time.monotonic() - began
    status = Status.RED if code != 130 else Status.GREEN if took <= PROMPT_S else Status.AMBER
    return Result("study", "Ctrl-C", claim, status, f"ended after {took:.1f} s, exit code {code}", took, "s")


def _compared(place: Study, *, killed: bool) -> Result:
    """The disturbed study's table against the undisturbed one's."""
    claim = "a killed worker and an interruption change nothing in a study's table"
    difference = table_difference(place)
    if isinstance(difference, str):
        return Result("study", "killed worker", claim, Status.RED, difference)
    status, saw = agreement(difference, exact=is_exact(), tolerance=TOLERANCE)
    if not killed:
        status, saw = Status.AMBER, f"{saw}; no worker process was found to kill"
    return Result("study", "killed worker", claim, status, saw, difference, "relative difference")


def table_difference(place: Study) -> float | str:
    """The largest relative difference of reports of both studies, or why they cannot be compared."""
    import analysis

    one, other = (analysis.load(place.run_dir(name)) for name in ("undisturbed", "disturbed"))
    if list(other.trials.state) != ["COMPLETE"] * place.trials:
        return "not all trials completed"
    keys = ["trial", "replicate", "examples"]
    tables = [run.metrics.set_index(keys).sort_index()["validation_loss"] for run in (one, other)]
    if not tables[0].index.equals(tables[1].index):
        return "reports are missing or recorded twice"
    return float(((tables[0] - tables[1]).abs() / tables[0].abs()).max())


def _report(place: Study) -> Result:
    """The report that a person opens after a study."""
    claim = "the report is written and holds every trial"
    command = _sweep("report", str(place.run_dir("disturbed")))
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    path = place.run_dir("disturbed") / "report.html"
    if done.returncode or not path.exists():
        last = (done.stderr.strip().splitlines() or ["it was not written"])[-1]
        return Result("study", "report", claim, Status.RED, last[:200])
    text = path.read_text()
    whole = "<html" in text and text.rstrip().endswith("</html>")
    saw = f"{len(text) / 1e6:.1f} MB of HTML" if whole else "it is not whole"
    return Result("study", "report", claim, Status.GREEN if whole else Status.RED, saw)


def _end(driver: subprocess.Popen[bytes]) -> None:
    """Kill the driver and all that it started."""
    for process in reversed(_descendants(driver) if driver.poll() is None else []):
        try:
            process.kill()
        except psutil.Error:
            continue
    driver.wait()
