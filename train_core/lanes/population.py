"""Lanes: many runs of one program, trained in one compiled step and refilled as they end.

A lane's run is the same run at any width, in any lane, beside any neighbours. Steps are dispatched while
earlier ones are computed, as long as those in flight hold little of the device's memory; a GPU gets several
at once.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

import mlx.core as mx
import numpy as np
from mlx.utils import tree_map

from train_core import checkpoint, device, numpy_boundary
from train_core.checkpoint import Checkpoint
from train_core.data import index_sampler
from train_core.data.prefetch import Prefetcher
from train_core.errors import HyperparameterError, TaskError, TrialError
from train_core.lanes import rows
from train_core.lanes.chunk import Chunk, plan
from train_core.lanes.evaluation import Advance, Clock, Evaluation, LaneReport
from train_core.lanes.lane import START, Begun, LaneRun, Length
from train_core.lanes.program import Program
from train_core.step import accumulate, schedule
from train_core.step.functional import flatten
from train_core.step.step import LaneState, Samples
from train_core.task import Batch, split_for, task_errors

CHUNK = 64
"""Micro-batches whose indices and masks are built and uploaded at once."""

TOGETHER = 8
"""Steps handed to a GPU at once, where so many hold little: each hand-over costs the host time."""

AHEAD = 1 / 8
"""The fraction of the device's memory that steps in flight may hold before the loop waits for the oldest.

Arrays of a dispatched step are allocated before it is computed. A GPU that waits for the host to dispatch the
next one idles for as long as that takes: several milliseconds for a thousand kernels.
"""


class Population:
    """`width` lanes over one program. After an exception from `advance`, start a new one from snapshots."""

    def __init__(self, program: Program, width: int) -> None:
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        self.program = program
        self.width = width
        self._functions = program.functions(width)
        self._lanes: dict[int, LaneRun] = {}
        self._keys: dict[int, tuple[int, int]] = {}
        self._dynamic: dict[int, Mapping[str, float]] = {}
        self._fresh: dict[int, LaneState | None] = {}  # None: to be initialised from the run's key
        self._state: LaneState = {}
        self._hp: dict[str, mx.array] = {}
        self._hp_changed = False
        self._evaluation = Evaluation(program, width)
        self.at_widest = False
        """Whether steps are as wide as any can be, whatever their examples need: so memory is measured."""
        self._chunk, self._prefetcher = CHUNK, None
        if program.data.train_reader is not None:
            self._prefetcher = Prefetcher(
                program.data.train_reader, width, program.static.micro_batch_size, program.data.train_buckets
            )
            self._chunk = min(CHUNK, self._prefetcher.max_steps)

    @property
    def loaded(self) -> tuple[int, ...]:
        """The lanes that hold a run."""
        return tuple(sorted(self._lanes))

    def load(
        self, lane: int, *, key: mx.array, hyperparameters: Mapping[str, object], length: Length
    ) -> None:
        """Put a run into a free lane, at its beginning."""
        dynamic = self._claim(lane, hyperparameters)
        self._fresh[lane] = None
        self._occupy(lane, key, dynamic, length, micro_batches=0)

    def restore(
        self,
        lane: int,
        snapshot: Checkpoint,
        *,
        hyperparameters: Mapping[str, object],
        length: Length,
        begun: Begun = START,
    ) -> None:
        """Put a run into a free lane where a snapshot left it; raises CheckpointError on a misfit."""
        dynamic = self._claim(lane, hyperparameters)
        checkpoint.check_fit(snapshot, self.program.layout, self.program.description)
        named = tree_map(lambda path: snapshot.arrays[path], self.program.paths)
        self._fresh[lane] = self.program.step.packed(named)
        key = mx.array(snapshot.key, mx.uint32)
        self._occupy(lane, key, dynamic, length, micro_batches=snapshot.micro_batches, begun=begun)

    def copy(self, sources: Mapping[int, int]) -> None:
        """Give each lane the state that another one, its source, has now: rows moved on the device.

        Its position and hyperparameters, too. The key stays the lane's own: examples come in its own order
        from there, and draws continue as `rows.streams` says.
        """
        self._settle()
        runs, dynamic = dict(self._lanes), dict(self._dynamic)
        for lane, source in sources.items():
            own, other = self._held(lane), runs[source]
            self._lanes[lane] = replace(other, sampler=own.sampler, length=own.length)
            self._dynamic[lane] = dynamic[source]
        order = mx.array([sources.get(lane, lane) for lane in range(self.width)])
        self._state = tree_map(lambda leaf: leaf[order], self._state)
        self._renew_streams(list(sources))

    def change(self, lane: int, hyperparameters: Mapping[str, object]) -> None:
        """Give a run other dynamic hyperparameters; raises HyperparameterError at a static one."""
        dynamic = self._checked(hyperparameters)
        self._hold(lane, self._held(lane).changed(int(dynamic["accumulation_steps"])), dynamic)
        self._hp_changed = True

    def rekey(self, lane: int, key: mx.array) -> None:
        """Continue a run under another key, as a run with that key does after `copy`."""
        self._settle()
        self._lanes[lane] = replace(self._held(lane), sampler=self._sampler(key))
        self._keys[lane] = _numbers(key)
        self._renew_streams([lane])

    def _renew_streams(self, lanes: Sequence[int]) -> None:
        """Begin the draws of some lanes again, from their keys and where they stand."""
        runs = {lane: (self._keys[lane], self.done(lane)) for lane in lanes}
        self._state |= {"keys": rows.renewed(self._state["keys"], self.width, runs)}
        self._hp_changed = True

    def done(self, lane: int) -> int:
        """How many micro-batches a lane's run has done."""
        return self._held(lane).done

    def unload(self, lane: int) -> None:
        """Empty a lane; what it computes from now on is discarded."""
        self._held(lane)
        for held in (self._lanes, self._keys, self._dynamic, self._fresh):
            held.pop(lane, None)

    def snapshot(self, lane: int) -> Checkpoint:
        """Return a lane's complete state; it resumes at any width, bit for bit on a CPU."""
        held = self._held(lane)
        self._settle()
        state = self._state if self.width == 1 else tree_map(lambda leaf: leaf[lane], self._state)
        content = accumulate.content(state["window"], state["weight"])
        state = self.program.step.named({**state, "window": content})
        # Row-major: a hash of the bytes and a resume at another width must not see how lanes lay in memory.
        arrays = {path: mx.contiguous(leaf) for path, leaf in flatten(state).items()}
        mx.eval(arrays)
        return Checkpoint(
            arrays=arrays,
            micro_batches=held.done,
            examples=min(held.done * held.micro_batch_size, held.length.examples),
            key=self._keys[lane],
            static=self.program.description,
        )

    def samples(self, lane: int) -> Samples:
        """Return what the task's `samples` shows of a lane's model; () where it has none."""
        self._held(lane)
        self._settle()
        return self._evaluation.samples(self._state, self._hp, lane)

    def moved(self, width: int, places: Mapping[int, int]) -> Population:
        """Return a population of another width with the runs of `places`, a new lane for each old one.

        They continue unchanged, bit for bit on a CPU; nothing is written. This population must not be
        used afterwards: its arrays are shared with the new one.
        """
        self._settle()
        other = Population(self.program, width)
        for lane, place in places.items():
            held = self._held(lane)
            if not 0 <= place < width or place in other._lanes:
                raise ValueError(f"lanes must be free and < {width}, got {dict(places)}")
            other._lanes[place], other._keys[place] = held, self._keys[lane]
            other._dynamic[place] = self._dynamic[lane]
        if places:
            lane_at = {place: lane for lane, place in places.items()}
            order = [lane_at.get(place, next(iter(places))) for place in range(width)]
            states = self._state if self.width > 1 else tree_map(lambda leaf: leaf[None], self._state)
            taken = mx.array(order) if width > 1 else order[0]
            other._state = tree_map(lambda leaf: leaf[taken], states)
            other._hp = other._stacked_hyperparameters()
            mx.eval(other._state, other._hp)
        return other

    def advance(self, max_micro_batches: int | None = None) -> Advance:
        """Train every loaded lane to its own next report, at most `max_micro_batches`; evaluate those there.

        A lane that is there earlier than others waits. A lane that was finished already gives its
        last report again. With a limit, lanes may be left in mid-interval, without a report.
        """
        self._settle()
        clock, traces = Clock(), self.program.traces
        to_go = {lane: held.to_next_report() for lane, held in self._lanes.items()}
        before = {lane: held.reports - held.finished for lane, held in self._lanes.items()}
        steps = max(to_go.values(), default=0)
        steps = steps if max_micro_batches is None else min(steps, max_micro_batches)
        self._begin_intervals()
        for done in range(0, steps, self._chunk):
            self._train({lane: n - done for lane, n in to_go.items()}, min(self._chunk, steps - done), clock)
        reached = [lane for lane, held in self._lanes.items() if held.reports > before[lane]]
        reports = self._report({lane: before[lane] for lane in sorted(reached)}, clock) if reached else ()
        return Advance(
            reports=reports,
            train_s=clock.train_s,
            evaluate_s=clock.evaluate_s,
            compile_s=clock.compile_s,
            traces=self.program.traces - traces,
            micro_batches=clock.steps,
            busy=clock.lane_steps / (clock.steps * self.width) if clock.steps else 0.0,
        )

    def _claim(self, lane: int, hyperparameters: Mapping[str, object]) -> dict[str, float]:
        if not 0 <= lane < self.width or lane in self._lanes:
            raise ValueError(f"lane must be free and < {self.width}, got {lane}; loaded: {self.loaded}")
        return self._checked(hyperparameters)

    def _checked(self, hyperparameters: Mapping[str, object]) -> dict[str, float]:
        """The dynamic hyperparameters of a run that fits the program."""
        static, dynamic = split_for(self.program.task, hyperparameters)
        if static != self.program.static:
            raise HyperparameterError(
                f"static hyperparameters {static} need another program than {self.program.static}"
            )
        missing = sorted(self.program.step.read - set(dynamic))
        if missing:
            known = ", ".join(sorted(dynamic))
            raise TrialError(f"the task uses hp.{missing[0]}, which has no value; there are {known}")
        return dynamic

    def _occupy(
        self,
        lane: int,
        key: mx.array,
        dynamic: Mapping[str, float],
        length: Length,
        *,
        micro_batches: int,
        begun: Begun = START,
    ) -> None:
        held = LaneRun(
            sampler=self._sampler(key),
            length=length,
            micro_batch_size=self.program.static.micro_batch_size,
            accumulation_steps=int(dynamic["accumulation_steps"]),
            done=micro_batches,
            begun=begun,
        )
        self._keys[lane] = _numbers(key)
        self._hold(lane, held, dynamic)

    def _hold(self, lane: int, held: LaneRun, dynamic: Mapping[str, float]) -> None:
        self._lanes[lane] = held
        self._dynamic[lane] = {**dynamic, **schedule.fixed(dynamic, held.scheduled_updates)}

    def _sampler(self, key: mx.array) -> index_sampler.IndexSampler:
        data = self.program.data
        return index_sampler.IndexSampler(
            key, data.train_size, data.train_buckets, batch=self.program.static.micro_batch_size
        )

    def _held(self, lane: int) -> LaneRun:
        if lane not in self._lanes:
            raise ValueError(f"lane {lane} is empty; loaded: {self.loaded}")
        return self._lanes[lane]

    def _settle(self) -> None:
        """Write the runs loaded since, and what was changed, into the lanes' arrays, all in one pass."""
        if self._fresh:
            self._write_fresh()
        elif not self._hp_changed:
            return
        self._hp, self._hp_changed = self._stacked_hyperparameters(), False
        mx.eval(self._state, self._hp)

    def _write_fresh(self) -> None:
        lanes, states = self._fresh_rows()
        row_of = {lane: row for row, lane in enumerate(lanes)}
        order = mx.array([row_of.get(lane, 0) for lane in range(self.width)])
        # Selected by lane in one pass: an assignment a lane would copy the whole state each time.
        if self._state and self.width > 1:
            fresh = mx.array([lane in row_of for lane in range(self.width)])
            self._state = tree_map(lambda leaf, row: rows.put(leaf, row[order], fresh), self._state, states)
        else:  # empty lanes compute on a copy of a run: finite numbers, discarded
            self._state = tree_map(lambda leaf: leaf[order if self.width > 1 else 0], states)
        self._fresh.clear()

    def _fresh_rows(self) -> tuple[list[int], LaneState]:
        """Return the lanes loaded since and their states, one row each."""
        new = [lane for lane, state in self._fresh.items() if state is None]
        moved = {lane: state for lane, state in self._fresh.items() if state is not None}
        parts = [tree_map(lambda *leaves: mx.stack(list(leaves)), *moved.values())] if moved else []
        if new:
            parts.append(self.program.init_lanes([mx.array(self._keys[lane], mx.uint32) for lane in new]))
        return [*moved, *new], tree_map(lambda *leaves: mx.concatenate(list(leaves)), *parts)

    def _stacked_hyperparameters(self) -> dict[str, mx.array]:
        names = sorted(set().union(*self._dynamic.values()))
        columns = {n: [self._dynamic.get(i, {}).get(n, math.nan) for i in range(self.width)] for n in names}
        return {n: mx.array(c if self.width > 1 else c[0], mx.float32) for n, c in columns.items()}

    def _begin_intervals(self) -> None:
        """Reset the loss sums of lanes that reported and train further."""
        begins = [lane for lane, held in self._lanes.items() if held.at_boundary and not held.finished]
        if begins:
            keep = np.ones(self.width, np.bool_)
            keep[begins] = False
            # Outside of the compiled step, or it would be one more input and select in every step.
            kept = mx.array(keep if self.width > 1 else keep[0])
            loss = self._state["loss"]
            fresh = {name: mx.where(kept, loss[name], 0.0) for name in ("sum", "weight")}
            self._state = {**self._state, "loss": {**loss, **fresh}}

    def _report(self, before: Mapping[int, int], clock: Clock) -> tuple[LaneReport, ...]:
        started, compiled = time.perf_counter(), clock.compile_s
        metrics = self._evaluation.metrics(self._functions.evaluate, self._state, self._hp, clock)
        errors = self._evaluation.errors(self._state, self._lanes)
        diverged = {lane for lane in before if errors[lane] is not None}
        measured = self._evaluation.measured(self._state, self._hp, sorted(before.keys() - diverged))
        own: dict[int, dict[str, float]] = {}
        for lane, found in measured.items():
            if isinstance(found, TaskError):
                errors[lane] = str(found)
            else:
                part = self.program.data.evaluated
                own[lane] = {f"{part}_{name}": value for name, value in found.items()}
        clock.evaluate_s += time.perf_counter() - started - (clock.compile_s - compiled)
        return tuple(
            LaneReport(
                lane=lane,
                examples=self._lanes[lane].boundary(report),
                epoch=self._lanes[lane].boundary(report) / self.program.data.train_size,
                updates=self._lanes[lane].updates,
                metrics={name: float(values[lane]) for name, values in metrics.items()} | own.get(lane, {}),
                finished=self._lanes[lane].finished and report == self._lanes[lane].reports,
                error=errors[lane],
                diverged=lane in diverged,
            )
            for lane, seen in before.items()
            for report in self._to_report(seen, lane, failed=errors[lane] is not None)
        )

    def _to_report(self, seen: int, lane: int, *, failed: bool) -> range:
        """All boundaries since `seen`, several where a micro-batch passes them; of a failed run the last."""
        reached = self._lanes[lane].reports
        return range(reached if failed else seen + 1, reached + 1)

    def _train(self, to_go: Mapping[int, int], steps: int, clock: Clock) -> None:
        started, compiled = time.perf_counter(), clock.compile_s
        chunk = plan(self._lanes, to_go, steps, self.width, at_widest=self.at_widest)
        read = self._prefetched(chunk)
        begun, room, together = mx.get_active_memory(), int(AHEAD * device.memory_bytes()), 1
        in_flight: deque[mx.array] = deque()
        for step in range(steps):
            if read:
                arrays, index = read[step]
            else:
                arrays, index = self.program.data.arrays("train", chunk.widths[step]), chunk.index[step]
            train = self._functions.train[chunk.kinds[step]]
            with clock.compiling(self.program):
                self._state = train(self._state, self._hp, arrays, index, *chunk.masks[step])
                if step % together == 0:
                    mx.async_eval(self._state)
            held = mx.get_active_memory() - begun
            if step == 0 and device.kind() == "gpu" and held * TOGETHER <= room:
                together = TOGETHER
            in_flight.append(self._state["loss"]["sum"])  # small, and there when its whole step is
            while in_flight and mx.get_active_memory() - begun > room:
                together = 1
                mx.eval(in_flight.popleft())
        mx.eval(self._state)
        for lane, n in chunk.advanced.items():
            self._lanes[lane].done += n
        clock.steps += steps
        clock.lane_steps += sum(chunk.advanced.values())
        clock.train_s += time.perf_counter() - started - (clock.compile_s - compiled)

    def _prefetched(self, chunk: Chunk) -> list[tuple[Batch, mx.array]]:
        """Return each step's examples where they come from a source."""
        if self._prefetcher is None:
            return []
        with task_errors(self.program.task, "data"):
            return self._prefetcher.steps(chunk, self._lanes, self._chunk)


def _numbers(key: mx.array) -> tuple[int, int]:
    first, second = numpy_boundary.to_numpy(key).tolist()
    return first, second
