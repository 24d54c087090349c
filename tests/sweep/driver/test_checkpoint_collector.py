"""Snapshots on their way into the run directory: what a trial goes on from is there until there is better."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sweep.driver.checkpoint_collector import Gatherer
from sweep.executors.base import Chunk
from sweep.rundir.rundir import RunDir
from sweep.spec.schema import Checkpoints
from sweep.vocabulary.trial import Outcome, Snapshot
from tests.run_dirs import outcome, plan

BYTES = b"weights"


class Nobody:
    """An executor whose workers never answer."""

    def gather(self, slot: str, snapshot: Snapshot) -> None: ...

    def discard(self, slot: str, snapshot: Snapshot) -> None: ...


def snapshot(number: int, examples: int, *, final: bool = False) -> Snapshot:
    digest = hashlib.sha256(BYTES).hexdigest()
    return Snapshot(number, 0, examples, f"/there/{number}-{examples}", len(BYTES), digest, final)


def arrive(gatherer: Gatherer, slot: str, arriving: Snapshot) -> None:
    gatherer.offer(slot, arriving)
    gatherer.receive(Chunk(slot, arriving, BYTES))
    gatherer.receive(Chunk(slot, arriving, b""))


def gathering(run: RunDir, told: dict[int, Outcome]) -> Gatherer:
    """For a study of which two trials have been asked."""
    for number in (0, 1):
        run.record_asked(plan(number), {})
    return Gatherer(run, Nobody(), Checkpoints.model_validate({}), ["maximize"], told)  # type: ignore[arg-type]


def test_what_is_on_its_way_from_a_slot_that_is_lost_supersedes_nothing(tmp_path: Path) -> None:
    told: dict[int, Outcome] = {}
    with RunDir.open(tmp_path, "study") as run:
        gatherer = gathering(run, told)
        arrive(gatherer, "far", snapshot(0, 100))
        gatherer.offer("far", snapshot(0, 200))
        arrive(gatherer, "near", snapshot(1, 100))
        told[1] = outcome(1)
        gatherer.trial_told(1)
        run.commit()
        gatherer.slot_lost("far")
        assert [(each.trial, each.examples) for each in run.checkpoints] == [(0, 100)]
        assert (run.path / run.checkpoints[0].path).read_bytes() == BYTES

        arrive(gatherer, "near", snapshot(0, 200))
        run.commit()
        assert [each.examples for each in run.checkpoints] == [200]


def test_what_a_slot_offered_is_not_waited_for_where_its_loss_was_heard_of_first(tmp_path: Path) -> None:
    told: dict[int, Outcome] = {}
    with RunDir.open(tmp_path, "study") as run:
        gatherer = gathering(run, told)
        gatherer.slot_lost("far")
        gatherer.offer("far", snapshot(0, 100))
        gatherer.offer("far", snapshot(1, 200, final=True))
        told[1] = outcome(1)
        gatherer.trial_told(1)
        assert not gatherer.busy
