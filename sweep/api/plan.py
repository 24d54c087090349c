"""`sweep plan`: how long a study will take on so many nodes, found out by driving a simulation of them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweep.driver.build import check_choices, describe_task, study_in_memory
from sweep.driver.driver import Driver
from sweep.driver.limits import concurrency
from sweep.driver.monitor.progress import Progress, Quiet, duration
from sweep.driver.result import DriverResult
from sweep.errors import SpecError, SweepError
from sweep.executors.simulated import SimulatedExecutor, World
from sweep.rundir.null import NullRunDir
from sweep.rundir.times import Times, measured_times
from sweep.spec.given import Study, study_of
from sweep.spec.schema import Extent, Stop, StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import RunId
from sweep.vocabulary.turn import Trainable

FULL = 0.9
"""Nodes that are busy for this share of the time are what limits."""


@dataclass(frozen=True)
class Forecast:
    """What driving the simulation has shown; times in seconds.

    `driver_s` is what the driver itself took, really: with `proposals_per_s` it says whether one driver
    keeps up.
    """

    study: str
    nodes: int
    trials: int
    makespan_s: float
    utilisation: float
    proposals_per_s: float
    proposals_per_s_possible: float
    driver_ms_per_trial: float
    node_losses: int
    limited_by: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        return "\n".join(
            [
                f"{self.study}: {self.trials} trials on {self.nodes} nodes in {duration(self.makespan_s)}",
                f"nodes busy: {self.utilisation:.1%} of the time; {self.node_losses} lost on the way",
                f"proposals: {self.proposals_per_s:.3g} a second needed, "
                f"{self.proposals_per_s_possible:.3g} possible ({self.driver_ms_per_trial:.2f} ms a trial)",
                f"limited by {self.limited_by}",
            ]
        )


def plan(
    study: Study,
    *,
    nodes: int = 1,
    trial_seconds: float | None = None,
    measured: str | Path | None = None,
    mtbf_s: float | None = None,
) -> Forecast:
    """Say how long a study would take on so many nodes, by simulating it; nothing is trained or written.

    A trial takes `trial_seconds`, or what it took in the run directory `measured`: one of them is needed.
    With `mtbf_s` each node fails once in so many seconds. Raises SweepError.
    """
    if (trial_seconds is None) == (measured is None):
        raise SweepError("plan: needs either the seconds of a trial or a run to take them from")
    spec = study_of(study)
    if spec.trainable is not Trainable.TASK and spec.trial.length is None:
        what = f"is missing: a plan needs to know how long a {spec.trainable} trains"
        raise SpecError(
            [spec.document.problem(("trial", "length"), what, "", "add length: {examples: 1000}")]
        )
    check_choices(spec)
    times = (
        measured_times(Path(measured), spec.trial.replicates)
        if measured is not None
        else Times({}, trial_seconds or 0.0)
    )
    return forecast(spec, describe_task(spec), nodes=nodes, times=times, progress=Quiet(), mtbf_s=mtbf_s)


def forecast(
    spec: StudySpec,
    description: Description,
    *,
    nodes: int,
    times: Times,
    progress: Progress,
    mtbf_s: float | None = None,
) -> Forecast:
    """Drive the study on simulated nodes; nothing is written anywhere."""
    spec = _as_planned(spec, measured=bool(times.run_s), nodes_fail=mtbf_s is not None)
    world = World(
        nodes=nodes,
        run_s=times.of,
        value=_learning_curve(spec),
        metrics=description.metrics or tuple(each.metric for each in spec.objective),
        compile_s=times.compile_s,
        start_s=times.start_s,
        mtbf_s=mtbf_s,
        snapshot_every_s=spec.checkpoints.every_s,
        seed=spec.seed % 2**32,
    )
    executor = SimulatedExecutor(world)
    study = study_in_memory(spec, description)
    driver = Driver(
        spec=spec,
        description=description,
        run=NullRunDir(),
        study=study,
        executor=executor,
        progress=progress,
        clock=executor.clock,
    )
    began = time.process_time()
    result = driver.run()
    driver_s = time.process_time() - began
    executor.close()
    return _forecast(spec, result, executor, driver_s)


def _as_planned(spec: StudySpec, *, measured: bool, nodes_fail: bool) -> StudySpec:
    """One report a trial unless a pruner or failing nodes need more; measured trials end where they ended.

    Stop rules are left out: what trials will find is not known.
    """
    lanes = spec.lanes if isinstance(spec.lanes, int) else 1
    changes: dict[str, Any] = {"lanes": lanes, "warm_start": (), "stop": Stop()}
    if measured or spec.pruner.name == "none":
        changes["pruner"] = type(spec.pruner)()
        if (
            not nodes_fail and spec.trial.length is not None
        ):  # what a loss costs depends on how often trials report
            report_every = Extent(**spec.trial.length.model_dump())
            changes["trial"] = spec.trial.model_copy(update={"report_every": report_every})
    return spec.model_copy(update=changes)


def _learning_curve(spec: StudySpec) -> Callable[[RunId, float], float]:
    """A metric that tells trials apart early but not surely; any will do where nothing is pruned."""
    sign = 1.0 if spec.objective[0].direction == "minimize" else -1.0

    def value(run: RunId, done: float) -> float:
        chance = random.Random(f"{spec.seed}-{run.trial}-{run.replicate}")
        return sign * (chance.random() + 0.3 * (1 - done) * chance.gauss(0, 1))

    return value


def _forecast(
    spec: StudySpec, result: DriverResult, executor: SimulatedExecutor, driver_s: float
) -> Forecast:
    trials, makespan_s = len(result.told), executor.now
    utilisation = executor.busy_s / executor.present_s if executor.present_s else 0.0
    needed = trials / makespan_s if makespan_s else 0.0
    possible = trials / driver_s if driver_s else 0.0
    return Forecast(
        study=spec.name,
        nodes=executor.slots,
        trials=trials,
        makespan_s=round(makespan_s, 3),
        utilisation=round(utilisation, 4),
        proposals_per_s=round(needed, 4),
        proposals_per_s_possible=round(possible, 1),
        driver_ms_per_trial=round(driver_s / max(trials, 1) * 1000, 4),
        node_losses=executor.losses,
        limited_by=_limit(spec, executor, utilisation, needed > possible),
    )


def _limit(spec: StudySpec, executor: SimulatedExecutor, utilisation: float, too_fast: bool) -> str:
    if too_fast:
        return "the driver: it cannot propose as fast as nodes ask; train longer trials or use fewer nodes"
    if utilisation >= FULL:
        return "the nodes: more of them would be quicker"
    most = concurrency(spec, executor.slots)
    if most is not None and most < executor.slots:
        return f"max_concurrent: {most} trials at a time, so that {spec.sampler.name} learns from results"
    return "the last trials: nodes wait for them with nothing left to start"
