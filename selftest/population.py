"""A population killed on the way: the same members, decisions that fit, a member replayed alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from runlog import layout
from runlog.integrity.descent import contradictions
from runlog.reader import read_batches
from selftest.machine import is_exact
from selftest.results import Result, Status, agreement
from selftest.studies import TOLERANCE, Study, table_difference

STUDY = """\
name: {name}
seed: 0
task: selftest.models:Pausing
objective: {{metric: validation_loss, direction: minimize}}
space: {{learning_rate: {{low: 1.0e-3, high: 1.0e-1, log: true}}}}
fixed: {{dropout: 0.1, optimizer: sgd}}
trial: {{micro_batch_size: 32, length: {{epochs: 8}}}}
sampler: {{name: pbt}}
order: fixed
budget: {{trials: {trials}}}
lanes: {trials}
checkpoints: {{every: 1s}}
executor: {executor}
"""
MEMBERS = 8


def population(*, quick: bool) -> Iterator[Result]:
    """One population undisturbed; the same with its driver killed after two decisions, and resumed."""
    with tempfile.TemporaryDirectory(prefix="selftest") as folder:
        place = Study(Path(folder), trials=MEMBERS, text=STUDY)
        place.write("undisturbed", "inline")
        place.finish("undisturbed")
        place.write("disturbed", "inline")
        with place.running("disturbed", pause_s=0.2) as driver:
            place.wait(lambda: place.count("disturbed", "evolved") >= 2, driver)
        place.finish("disturbed")
        yield _killed(place)
        yield _consistent(place.run_dir("disturbed"))
        yield _replayed(place.run_dir("disturbed"))


def _killed(place: Study) -> Result:
    claim = "a population that was killed and resumed has the same members"
    difference = table_difference(place)
    if isinstance(difference, str):
        return Result("population", "killed driver", claim, Status.RED, difference)
    status, saw = agreement(difference, exact=is_exact(), tolerance=TOLERANCE)
    return Result("population", "killed driver", claim, status, saw, difference, "relative difference")


def _consistent(run_dir: Path) -> Result:
    claim = "every decision on a member fits what was reported before it"
    batches = read_batches(run_dir / layout.LOG, on_damage=lambda each: None)
    log = [record for batch in batches for record in batch]
    copies = sum(len(record["changes"]) for record in log if record["event"] == "evolved")
    wrong = next(contradictions(log), None if copies else "no member copied another")
    saw = f"{copies} copies" if wrong is None else wrong
    return Result("population", "lineage", claim, Status.GREEN if wrong is None else Status.RED, saw)


def _replayed(run_dir: Path) -> Result:
    from sweep.api.replaying.replay import replay
    from sweep.rundir.history import read_history

    claim = "a member trained again alone, by its lineage, reports the same"
    changes = read_history(run_dir).study.lineage.changes
    if not changes:
        return Result("population", "replay", claim, Status.RED, "no member copied another")
    (found,) = replay(run_dir, changes[-1].trial).trials
    if found.difference is None:
        return Result("population", "replay", claim, Status.GREEN, f"{found.reports} reports, bit for bit")
    status = Status.RED if is_exact() else Status.AMBER
    return Result("population", "replay", claim, status, str(found.difference))
