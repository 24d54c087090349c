"""Two studies that share this machine's slots, each on a Ray of its own."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from sweep.driver.build import cores
from tests.logs import records
from tests.processes import actors, wait_for
from tests.sweep.conftest import ON_RAY, Folder

pytestmark = pytest.mark.slow

TRAIN = """\
import time
from pathlib import Path

from tests import gate


def low(trial):
    for report in train(trial):
        time.sleep(0.1)
        yield report


def high(trial):
    for report in train(trial):
        gate.wait(Path(__file__).parent)
        yield report


def train(trial):
    x, step = 2.0, 0
    if trial.checkpoint is not None:
        x, step = trial.checkpoint["x"], trial.checkpoint["step"]
    while step < 5:
        step += 1
        x -= trial.params["learning_rate"] * x
        trial.save(x=x, step=step)
        yield {"examples": step, "validation_loss": x * x}
"""

CHANGES = (
    ("trial: {micro_batch_size: 16, length: {epochs: 3}}\n", ""),
    ("fixed: {optimizer: sgd, slow: 0.0}\n", ""),
    ("  accumulation_steps: {choices: [1, 2]}\n", ""),
    ("executor: inline\n", ON_RAY),
)

SHARE = ("sampler: {name: random}", "sampler: {name: random}\ncluster_share: ")


def write(folder: Folder, name: str, trials: int, share: str) -> Path:
    """A study file beside the others; its run directory."""
    text = folder.write(
        *CHANGES,
        ("line.py:Line", f"train.py:{name}"),
        ("trials: 4", f"trials: {trials}"),
        ("name: line", f"name: {name}"),
        (SHARE[0], f"{SHARE[1]}{share}"),
    ).read_text()
    (folder.path / f"{name}.yaml").write_text(text)
    return folder.runs / name


def start(folder: Folder, name: str) -> subprocess.Popen[str]:
    return folder.start("run", f"{name}.yaml", "--no-report", "--quiet")


def values(run: Path) -> dict[int, float]:
    return {each["trial"]: each["values"][0] for each in records(run, "told") if each["state"] == "COMPLETE"}


def test_a_study_of_higher_priority_takes_a_slot_and_gives_it_back_and_nothing_is_trained_twice(
    folder: Folder,
) -> None:
    (folder.path / "train.py").write_text(TRAIN)
    low, high = write(folder, "low", 1000, "{}"), write(folder, "high", 3, "{priority: 1, max_slots: 1}")
    first = start(folder, "low")
    slots = cores()
    wait_for(lambda: len(actors(first.pid)) == slots and records(low, "report"), first)
    folder.gate.shut(after=1)
    second = start(folder, "high")
    wait_for(lambda: records(high, "report"), second)
    assert len(actors(first.pid)) == slots - 1
    said = folder.sweep("queue").stdout
    assert said.index("high") < said.index("low"), said
    assert f"{slots} of {slots} slots are used" in said
    folder.gate.open()
    out, _ = second.communicate(timeout=300)
    assert second.returncode == 0, out
    wait_for(lambda: len(actors(first.pid)) == slots, first)
    wait_for(lambda: values(high).keys() <= values(low).keys(), first)
    first.send_signal(signal.SIGINT)
    out, _ = first.communicate(timeout=300)
    assert first.returncode == 130, out
    assert [each["reason"] for each in records(low, "lost")] == ["given back"]
    for run in (low, high):
        rows = [(row["trial"], row["examples"]) for row in records(run, "report")]
        assert len(rows) == len(set(rows)), "no report was trained for twice"
    assert values(high).keys() == {0, 1, 2}
    assert values(high).items() <= values(low).items(), "a share changes no result"
