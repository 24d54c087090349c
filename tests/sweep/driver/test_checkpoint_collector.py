"""Snapshots on their way into the run directory: what a trial resumes from is there until there is better."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from sweep.driver.checkpoint_collector import CheckpointCollector
from sweep.executors.base import Chunk
from sweep.rundir.rundir import RunDir
from sweep.spec.schema import Checkpoints
from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import Load, Turn
from tests.run_dirs import outcome, plan

BYTES = b"weights"


class Nobody:
    """An executor whose workers never answer."""

    def gather(self, slot: str, snapshot: Snapshot) -> None: ...

    def discard(self, slot: str, snapshot: Snapshot) -> None: ...

    def cut_short(self) -> None: ...


def snapshot(number: int, examples: int, *, final: bool = False) -> Snapshot:
    digest = hashlib.sha256(BYTES).hexdigest()
    return Snapshot(number, 0, examples, f"/there/{number}-{examples}", len(BYTES), digest, final)


def arrive(collector: CheckpointCollector, slot: str, arriving: Snapshot) -> None:
    collector.offer(slot, arriving)
    collector.receive(Chunk(slot, arriving, BYTES))
    collector.receive(Chunk(slot, arriving, b""))


def collecting(run: RunDir, clock: Callable[[], float] = time.monotonic) -> CheckpointCollector:
    """For a study of which two trials have been asked."""
    for number in (0, 1):
        run.record_asked(plan(number), {})
    policy = Checkpoints.model_validate({})
    return CheckpointCollector(run, Nobody(), policy, ["maximize"], clock=clock)  # type: ignore[arg-type]


def test_what_is_on_its_way_from_a_slot_that_is_lost_supersedes_nothing(tmp_path: Path) -> None:
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run)
        arrive(collector, "far", snapshot(0, 100))
        collector.offer("far", snapshot(0, 200))
        arrive(collector, "near", snapshot(1, 100))
        collector.trial_told(outcome(1))
        collector.tidy()
        run.commit()
        collector.slot_lost("far")
        assert [(each.trial, each.examples) for each in run.checkpoints.kept] == [(0, 100)]
        assert (run.path / run.checkpoints.kept[0].path).read_bytes() == BYTES

        arrive(collector, "near", snapshot(0, 200))
        collector.tidy()
        run.commit()
        assert [each.examples for each in run.checkpoints.kept] == [200]


def test_what_a_worker_was_told_to_load_stays_until_it_has(tmp_path: Path) -> None:
    """Simulated histories found it: a newer checkpoint comes late, from where the run was before."""
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run)
        arrive(collector, "far", snapshot(0, 100))
        run.commit()
        path = run.path / run.checkpoints.kept[0].path
        load = Load(0, plan(0), 0, 1, str(path))
        collector.offer("far", snapshot(0, 200))
        collector.turn_out("near", Turn(7, (), 1, loads=(load,)))
        collector.receive(Chunk("far", snapshot(0, 200), BYTES))
        collector.receive(Chunk("far", snapshot(0, 200), b""))
        collector.tidy()
        run.commit()
        assert path.exists()

        collector.turn_done("near", 7)
        collector.tidy()
        run.commit()
        assert not path.exists()
        assert [each.examples for each in run.checkpoints.kept] == [200]


def test_what_is_on_its_way_is_waited_for_after_an_interruption_as_long_as_it_comes(tmp_path: Path) -> None:
    now = [0.0]
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run, clock=lambda: now[0])
        assert not collector.is_arriving(within_s=1.0)
        arriving = snapshot(0, 100)
        collector.offer("far", arriving)
        now[0] = 0.9
        assert collector.is_arriving(within_s=1.0)
        collector.receive(Chunk("far", arriving, BYTES[:1]))
        now[0] = 1.8
        assert collector.is_arriving(within_s=1.0)
        now[0] = 2.0
        assert not collector.is_arriving(within_s=1.0)
        assert collector.busy
        collector.close()


def test_what_a_slot_offered_is_not_waited_for_where_its_loss_was_heard_of_first(tmp_path: Path) -> None:
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run)
        collector.slot_lost("far")
        collector.offer("far", snapshot(0, 100))
        collector.offer("far", snapshot(1, 200, final=True))
        collector.trial_told(outcome(1))
        assert not collector.busy
