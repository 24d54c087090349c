"""Snapshots on their way from workers into the run directory, and which of them stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from sweep.driver.checkpoint_store import Refused, Removed, Stored, StoreThread
from sweep.errors import CheckpointError
from sweep.executors.base import Chunk, Executor
from sweep.rundir.checkpoints import CheckpointWriter, stored_name
from sweep.rundir.null import NullRunDir, NullWriter
from sweep.rundir.retention import superseded
from sweep.rundir.rundir import RunDir
from sweep.scheduler.messages import Collected, Kept, Unsaved
from sweep.spec.resolve import keeps_best_report
from sweep.spec.schema import Checkpoints, StudySpec
from sweep.vocabulary.trial import Outcome, RunId, Snapshot
from sweep.vocabulary.turn import Turn


def policy_of(spec: StudySpec) -> Checkpoints:
    """Which checkpoints a study keeps."""
    return spec.checkpoints.model_copy(update={"keep_best_report": keeps_best_report(spec)})


Arriving = tuple[str, str]
"""A slot and a path on its host."""

SHOULD_BE = Snapshot(trial=-1, replicate=-1, examples=-1, path="", bytes=0, sha256="", final=True)
"""Stands for a final snapshot of which nothing is known but whose it is."""


@dataclass
class Ending:
    """What a trial that has ended waits for, and the replicates whose snapshots were lost."""

    coming: set[Arriving]
    lost: set[int]


class CheckpointCollector:
    """Receives snapshots chunk by chunk.

    A final one waits until its trial has ended: only then is it known whether it will be kept. `told` are the
    trials that ended before; `keep` and `trial_told` bring the others. `needed` gives paths of checkpoints
    that stay in any case.
    """

    def __init__(
        self,
        run: RunDir | NullRunDir,
        executor: Executor,
        policy: Checkpoints,
        directions: Sequence[str],
        *,
        told: Iterable[Outcome] = (),
        store: StoreThread | None = None,
        needed: Callable[[], Collection[str]] = tuple,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._executor = executor
        self._policy = policy
        self._directions = directions
        self._told = {outcome.number: outcome for outcome in told}
        self._ended = dict(self._told)
        self._starred = run.history.study.steered.starred
        self._store = store
        self._needed = needed
        self._refusal = ""
        self._arriving: dict[Arriving, CheckpointWriter | NullWriter] = {}
        self._final: dict[int, list[tuple[str, Snapshot]]] = {}
        self._coming: dict[Arriving, Snapshot] = {}
        self._here: set[RunId] = set()
        self._ending: dict[int, Ending] = {}
        self._lost: set[str] = set()
        self._loading: dict[tuple[str, int], frozenset[str]] = {}
        self._untidy = False
        self._clock = clock
        self._moved = -inf

    @property
    def busy(self) -> bool:
        return bool(self._arriving) or (self._store is not None and self._store.busy)

    def is_arriving(self, *, within_s: float) -> bool:
        """Whether a snapshot is on its way of which something came within so many seconds."""
        return bool(self._arriving) and self._clock() - self._moved < within_s

    def offer(self, slot: str, snapshot: Snapshot) -> None:
        """A worker has a snapshot: fetch it now, or once its trial is told.

        Not where the worker is lost already: its last turn and its loss may have been heard of together.
        """
        if slot in self._lost:
            return
        if snapshot.final:
            self._final.setdefault(snapshot.trial, []).append((slot, snapshot))
            if snapshot.trial in self._told:
                self._settle_final(snapshot.trial)
        else:
            self._fetch(slot, snapshot)

    def keep(self, outcome: Outcome, finals: Mapping[int, int]) -> None:
        """A trial has ended: what will be kept of it is fetched, and `settled` says when it is here.

        `finals` are where runs ended of which a final snapshot should be there, by replicate, in examples.
        """
        number = outcome.number
        self._ended[number] = outcome
        offered = {snapshot.run for _, snapshot in self._final.get(number, ())}
        coming = {key: each for key, each in self._coming.items() if each.trial == number}
        known = self._here | offered | {each.run for each in coming.values() if each.final}
        lost = {
            replicate
            for replicate, examples in finals.items()
            if RunId(number, replicate) not in known
            and self._would_stay(replace(SHOULD_BE, trial=number, replicate=replicate, examples=examples))
        }
        awaited = {key for key, each in coming.items() if self._would_stay(each)}
        self._ending[number] = Ending(awaited | self._settle_final(number), lost)

    def settled(self) -> list[Kept | Unsaved]:
        """Which trials that have ended wait for nothing any more."""
        answers: list[Kept | Unsaved] = []
        for number in [number for number, each in self._ending.items() if not each.coming]:
            lost = self._ending.pop(number).lost
            if lost:
                del self._ended[number]
            answers.append(Unsaved(number, tuple(sorted(lost))) if lost else Kept(number))
        return answers

    def trial_told(self, outcome: Outcome) -> None:
        """A trial is told: its final snapshots are fetched where they will be kept, others are dropped."""
        self._told[outcome.number] = self._ended[outcome.number] = outcome
        self._here = {run for run in self._here if run.trial != outcome.number}
        self._settle_final(outcome.number)

    def steer(self, policy: Checkpoints, starred: frozenset[int]) -> None:
        """Other checkpoints are kept from here on: what is gone stays gone."""
        self._policy, self._starred = policy, starred
        self._untidy = True

    def _settle_final(self, number: int) -> set[Arriving]:
        """Fetch what was offered and stays; what is coming now."""
        coming = set()
        for slot, snapshot in self._final.pop(number, []):
            if self._would_stay(snapshot):
                self._fetch(slot, snapshot)
                coming.add((slot, snapshot.path))
            else:
                self._executor.discard(slot, snapshot)
        self._untidy = True
        return coming

    def turn_out(self, slot: str, turn: Turn) -> None:
        """A worker was given a turn: what its runs resume from stays until the turn has come back."""
        if turn.checkpoints:
            self._loading[slot, turn.number] = frozenset(turn.checkpoints)

    def turn_done(self, slot: str, number: int) -> None:
        self._loading.pop((slot, number), None)

    def tidy(self) -> None:
        """Let go what is superseded; the scheduler has to know by then what has arrived."""
        if self._untidy:
            self._retain()

    def receive(self, chunk: Chunk) -> Collected | None:
        """Enter a chunk; once the last has arrived whole, the snapshot as it lies in the run directory."""
        key = (chunk.slot, chunk.snapshot.path)
        writer = self._arriving.get(key)
        self._moved = self._clock()
        if writer is None:
            return None
        if chunk.data:
            writer.write(chunk.data)
            return None
        del self._arriving[key], self._coming[key]
        number = chunk.snapshot.trial
        if number in self._ending:
            self._ending[number].coming.discard(key)
        try:
            stored = writer.commit()
        except CheckpointError as error:
            self._run.record_message("warning", str(error))
            return None
        self._untidy = True
        if stored.final and number not in self._told:
            self._here.add(stored.run)
        return Collected(replace(stored, path=self._lies_at(stored)))

    def slot_lost(self, slot: str) -> None:
        """What was on its way from there will not arrive."""
        self._lost.add(slot)
        for turn in [turn for turn in self._loading if turn[0] == slot]:
            del self._loading[turn]
        for key in [key for key in self._arriving if key[0] == slot]:
            self._arriving.pop(key).abandon()
            snapshot = self._coming.pop(key)
            ending = self._ending.get(snapshot.trial)
            if ending is not None and key in ending.coming:
                ending.coming.remove(key)
                ending.lost.add(snapshot.replicate)
        for number, offers in list(self._final.items()):
            self._final[number] = [offer for offer in offers if offer[0] != slot]

    def fetch_from(self, slot: str) -> None:
        """The slot is given back: fetch what it keeps until its trials are told."""
        for number, offers in list(self._final.items()):
            for offer in [offer for offer in offers if offer[0] == slot]:
                offers.remove(offer)
                self._fetch(*offer)
            if not offers:
                del self._final[number]

    def is_coming_from(self, slot: str) -> bool:
        """Whether a snapshot is on its way from there."""
        return any(key[0] == slot for key in self._arriving)

    def close(self) -> None:
        """Give up what is still on its way."""
        for writer in self._arriving.values():
            writer.abandon()
        self._arriving.clear()
        self._coming.clear()
        if self._store is not None:
            self._store.close()

    def _fetch(self, slot: str, snapshot: Snapshot) -> None:
        self._moved = self._clock()
        self._arriving[slot, snapshot.path] = self._run.checkpoints.begin(snapshot)
        self._coming[slot, snapshot.path] = replace(snapshot, path=stored_name(snapshot))
        self._executor.gather(slot, snapshot)

    def _would_stay(self, snapshot: Snapshot) -> bool:
        """As it will be once all that have ended are told, and what is coming of them is here."""
        stored = replace(snapshot, path=stored_name(snapshot))
        coming = [each for each in self._coming.values() if each.trial in self._ended and each != stored]
        return stored not in self._superseded([*self._run.checkpoints.kept, *coming, stored], self._ended)

    def look_at_store(self) -> None:
        """Enter what the store has done since the last look."""
        if self._store is None:
            return
        for answer in self._store.answers():
            path = answer.snapshot.path
            kept = answer.snapshot in self._run.checkpoints.kept
            match answer:
                case Stored() if not kept:
                    self._store.remove(answer.snapshot, answer.url)
                case Stored():
                    self._run.checkpoints.record_stored(path, answer.url)
                    self._retain()
                case Removed() if kept:
                    self._run.checkpoints.remove(path)
                case Refused() if kept and answer.reason != self._refusal:
                    self._refusal = answer.reason
                    there = path in self._run.checkpoints.stored
                    what = "was not deleted from the store" if there else "was not uploaded and stays here"
                    text = f"{path} {what}. The store answered: {answer.reason}"
                    self._run.record_message("warning", text)

    def _retain(self) -> None:
        """Let go what is superseded; what stays of ended trials goes to the store, where there is one.

        What is on its way may never arrive: a trial that may have to resume keeps what it has until then.
        What a worker was told to load stays until it has: a newer one of that run can come late, from
        where it was before.
        """
        checkpoints = self._run.checkpoints.kept
        coming = [each for each in self._coming.values() if each.trial in self._told]
        superseded = self._superseded([*checkpoints, *coming], self._told)
        loading = frozenset(self._needed()).union(*self._loading.values())
        gone = [each for each in superseded if each in checkpoints and self._lies_at(each) not in loading]
        self._untidy = any(self._lies_at(each) in loading for each in superseded)
        for snapshot in gone:
            url = self._run.checkpoints.stored.get(snapshot.path)
            if self._store is not None and url is not None:
                self._store.remove(snapshot, url)
            elif url is None:
                self._run.checkpoints.remove(snapshot.path)
        if self._store is not None:
            kept = set(checkpoints) - set(gone)
            for snapshot in kept:
                if self._lies_at(snapshot) in loading:
                    self._untidy = True
                elif snapshot.trial in self._told and snapshot.path not in self._run.checkpoints.stored:
                    self._store.send(snapshot, self._run.path / snapshot.path)

    def _lies_at(self, snapshot: Snapshot) -> str:
        return str(self._run.path / snapshot.path)

    def _superseded(self, checkpoints: Sequence[Snapshot], told: Mapping[int, Outcome]) -> list[Snapshot]:
        return superseded(
            checkpoints,
            told=told,
            directions=self._directions,
            keep_best=self._policy.keep_best,
            keep_best_report=self._policy.keep_best_report,
            max_bytes=self._policy.max_bytes,
            starred=self._starred,
        )
