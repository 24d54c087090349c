"""Snapshots on their way into the run directory: what a trial resumes from is there until there is better."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from sweep.driver.checkpoint_collector import CheckpointCollector
from sweep.executors.base import Chunk
from sweep.rundir.rundir import RunDir
from sweep.scheduler.messages import Kept, Unsaved
from sweep.spec.schema import Checkpoints
from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import Load, Turn
from tests.run_dirs import LENGTH, accuracy, outcome, plan

BYTES = b"weights"

BETTER_FIRST = sorted((0, 1), key=lambda number: accuracy(number, LENGTH.examples), reverse=True)


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


def collecting(
    run: RunDir, clock: Callable[[], float] = time.monotonic, *, keep_best: int = 3
) -> CheckpointCollector:
    """For a study of which two trials have been asked."""
    for number in (0, 1):
        run.record_asked(plan(number), {})
    policy = Checkpoints.model_validate({"keep_best": keep_best})
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


def test_a_trial_that_has_ended_waits_for_its_final_checkpoint(tmp_path: Path) -> None:
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run)
        final = snapshot(0, 300, final=True)
        collector.offer("far", final)
        assert not collector.busy, "it is not known yet whether it stays"
        collector.keep(outcome(0), {0: 300})
        assert collector.settled() == []
        collector.receive(Chunk("far", final, BYTES))
        assert collector.settled() == []
        collector.receive(Chunk("far", final, b""))
        assert collector.settled() == [Kept(0)]
        assert collector.settled() == []
        collector.trial_told(outcome(0))
        collector.tidy()
        assert [(each.examples, each.final) for each in run.checkpoints.kept] == [(300, True)]


def test_until_it_is_told_a_trial_keeps_what_it_may_have_to_resume_from(tmp_path: Path) -> None:
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run)
        arrive(collector, "far", snapshot(0, 100))
        collector.offer("far", snapshot(0, 300, final=True))
        collector.keep(outcome(0), {0: 300})
        collector.tidy()
        collector.slot_lost("far")
        assert collector.settled() == [Unsaved(0, (0,))]
        assert [each.examples for each in run.checkpoints.kept] == [100]


def test_of_a_final_checkpoint_that_would_not_stay_nothing_is_awaited_nor_made_again(tmp_path: Path) -> None:
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run, keep_best=1)
        better, worse = BETTER_FIRST
        collector.offer("near", snapshot(better, 300, final=True))
        collector.keep(outcome(better), {0: 300})
        collector.receive(Chunk("near", snapshot(better, 300, final=True), BYTES))
        collector.receive(Chunk("near", snapshot(better, 300, final=True), b""))
        collector.trial_told(outcome(better))
        assert collector.settled() == [Kept(better)]
        collector.keep(outcome(worse), {0: 300})
        assert collector.settled() == [Kept(worse)], "an earlier session lost it, and nobody misses it"
        collector.offer("far", snapshot(worse, 300, final=True))
        collector.keep(outcome(worse), {0: 300})
        assert collector.settled() == [Kept(worse)]
        assert not collector.busy


def test_what_an_earlier_session_or_a_lost_slot_did_not_bring_is_made_again(tmp_path: Path) -> None:
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run)
        collector.keep(outcome(0), {0: 300})
        assert collector.settled() == [Unsaved(0, (0,))]
        collector.offer("far", snapshot(1, 300, final=True))
        collector.slot_lost("far")
        collector.keep(outcome(1), {0: 300})
        assert collector.settled() == [Unsaved(1, (0,))]


def test_what_cannot_be_stored_is_not_made_again(tmp_path: Path) -> None:
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run)
        final = snapshot(0, 300, final=True)
        collector.offer("far", final)
        collector.keep(outcome(0), {0: 300})
        collector.receive(Chunk("far", final, BYTES[:2]))
        collector.receive(Chunk("far", final, b""))
        assert collector.settled() == [Kept(0)]
        assert run.checkpoints.kept == []


def test_a_final_checkpoint_that_came_before_its_trial_ended_counts(tmp_path: Path) -> None:
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run)
        final = snapshot(0, 300, final=True)
        collector.offer("far", final)
        collector.fetch_from("far")
        collector.receive(Chunk("far", final, BYTES))
        collector.receive(Chunk("far", final, b""))
        collector.slot_lost("far")
        collector.keep(outcome(0), {0: 300})
        assert collector.settled() == [Kept(0)]


def test_of_trials_that_end_together_those_that_the_others_surpass_are_not_fetched(tmp_path: Path) -> None:
    """Of a thousand lanes that end in one step a thousand checkpoints came, to keep three."""
    with RunDir.open(tmp_path, "study") as run:
        collector = collecting(run, keep_best=1)
        better, worse = BETTER_FIRST
        for number in BETTER_FIRST:
            collector.offer("far", snapshot(number, 300, final=True))
        collector.keep(outcome(better), {0: 300})
        collector.keep(outcome(worse), {0: 300})
        assert collector.settled() == [Kept(worse)]

        collector.slot_lost("far")
        assert collector.settled() == [Unsaved(better, (0,))]
        collector.offer("near", snapshot(worse, 300, final=True))
        collector.keep(outcome(worse), {0: 300})
        assert collector.settled() == [], "nothing surpasses it any more"
        collector.close()
