"""Snapshots on their way into the run directory: what a trial resumes from is there until there is better."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sweep.driver.checkpoint_collector import CheckpointCollector
from sweep.executors.base import Chunk
from sweep.rundir.rundir import RunDir
from sweep.spec.schema import Checkpoints
from sweep.vocabulary.trial import Snapshot
from tests.run_dirs import outcome, plan

BYTES = b"weights"


class Nobody:
    """An executor whose workers never answer."""

    def gather(self, slot: str, snapshot: Snapshot) -> None: ...

    def discard(self, slot: str, snapshot: Snapshot) -> None: ...


def snapshot(number: int, examples: int, *, final: bool = False) -> Snapshot:
    digest = hashlib.sha256(BYTES).hexdigest()
    return Snapshot(number, 0, examples, f"/there/{number}-{examples}", len(BYTES), digest, final)


def arrive(collector: CheckpointCollector, slot: str, arriving: Snapshot) -> None:
    collector.offer(slot, arriving)
    collector.receive(Chunk(slot, arriving, BYTES))
    collector.receive(Chunk(slot, arriving, b""))


def collecting(run: RunDir) -> CheckpointCollector:
    """For a study of which two trials have been asked."""
    for number in (0, 1):
        run.record_asked(plan(number), {})
    return CheckpointCollector(run, Nobody(), Checkpoints.model_validate({}), ["maximize"])  # type: ignore[arg-type]


def test_what_is_on_its_way_from_a_slot_that_is_lost_supersedes_nothing(tmp_path: Path) -> None:
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run)
        arrive(collector, "far", snapshot(0, 100))
        collector.offer("far", snapshot(0, 200))
        arrive(collector, "near", snapshot(1, 100))
        collector.trial_told(outcome(1))
        run.commit()
        collector.slot_lost("far")
        assert [(each.trial, each.examples) for each in run.checkpoints.kept] == [(0, 100)]
        assert (run.path / run.checkpoints.kept[0].path).read_bytes() == BYTES

        arrive(collector, "near", snapshot(0, 200))
        run.commit()
        assert [each.examples for each in run.checkpoints.kept] == [200]


def test_what_a_slot_offered_is_not_waited_for_where_its_loss_was_heard_of_first(tmp_path: Path) -> None:
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run)
        collector.slot_lost("far")
        collector.offer("far", snapshot(0, 100))
        collector.offer("far", snapshot(1, 200, final=True))
        collector.trial_told(outcome(1))
        assert not collector.busy
