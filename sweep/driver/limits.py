"""What the scheduler goes by, from the study file and what there is to run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.executors.sharing.messages import Share
from sweep.scheduler import Aim, Constraint, Limits, Patience
from sweep.spec.order import INDEPENDENT, is_together, lag_of, waits_for_nobody
from sweep.spec.plans import programs
from sweep.spec.population.settings import interval_of, population_of
from sweep.spec.resolve import keeps_best_report, value_of
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.turn import Saving, Trainable

if TYPE_CHECKING:
    from sweep.search.study import Study

STOP_S = 2.5
"""How long after an interruption workers on this machine may take to end steps and save: a person waits."""

STOP_ELSEWHERE_S = 10.0
"""The same where the workers are on other machines, or processes have a grace of their own to save in."""

GRACE_S = 60.0
"""How long beyond its time-out a trial's worker may be silent: compilation and loading are not its time."""


def limits(
    spec: StudySpec,
    description: Description,
    *,
    slots: int,
    told: int,
    asked: int,
    study: Study,
) -> Limits:
    """What the scheduler goes by; without a number of trials only time ends a study.

    Earlier sessions `told` so many trials that count, and `asked` for all numbers below that.
    """
    patience = spec.trial.patience
    return Limits(
        trials=spec.budget.trials if spec.budget.trials is not None else 2**31,
        objectives=tuple(
            Aim(each.metric, each.direction == "minimize", value_of(spec, each)) for each in spec.objective
        ),
        constraints=tuple(Constraint(name, bound.min, bound.max) for name, bound in spec.constraints.items()),
        width=1 if description.vmap_incompatibility else _width(spec, slots),
        slots=slots,
        programs=len(programs(spec, description)),
        ahead=spec.sampler.name in INDEPENDENT,
        replicates=spec.trial.replicates,
        told=told,
        prunes=spec.pruner.name != "none",
        rungs=study.rungs,
        max_concurrent=concurrency(spec, slots),
        timeout_s=spec.trial.timeout_s,
        grace_s=GRACE_S,
        stop_s=_stop_s(spec),
        retries=spec.failures.retry,
        stop_after=spec.failures.stop_after,
        in_order=lag_of(spec) is not None,
        lag=None if waits_for_nobody(spec) else lag_of(spec),
        asked=asked,
        compares_running=study.compares_running,
        patience=None if patience is None else Patience(patience.reports, patience.min_delta),
        interval=interval_of(spec, description),
        together=is_together(spec),
        keeps=spec.checkpoints.keep_best > 0,
    )


def saving_of(spec: StudySpec) -> Saving:
    """When workers save their runs."""
    kept = spec.checkpoints
    return Saving(kept.every_s, final=kept.keep_best > 0, best_report=keeps_best_report(spec))


def share_of(spec: StudySpec) -> Share | None:
    """How the study shares slots: on a cluster it does, on this machine where its file says so."""
    given = spec.cluster_share
    if given is None:
        return None if spec.cluster == "local" else Share()
    return Share(given.priority, given.weight, given.max_slots, given.give_up_within_s)


def _width(spec: StudySpec, slots: int) -> int | None:
    """How many lanes a slot has, None to measure it; members of a population train side by side."""
    if isinstance(spec.lanes, int):
        return spec.lanes
    members = spec.budget.trials
    return None if population_of(spec) is None or members is None else -(-members // slots)


def _stop_s(spec: StudySpec) -> float:
    is_quick = spec.cluster == "local" and spec.trainable is not Trainable.COMMAND
    return STOP_S if is_quick else STOP_ELSEWHERE_S


def concurrency(spec: StudySpec, slots: int) -> int | None:
    """How many trials may be in flight; None for any number.

    A model-based sampler learns from results: with a quarter of the budget in flight it sees three
    quarters of them before its last proposals. Samplers that do not learn fill all lanes. In a fixed order
    no more can be, whatever the study file says.
    """
    lag = lag_of(spec)
    if lag is not None and not waits_for_nobody(spec):
        return min(lag, _most(spec, slots) or lag)
    return _most(spec, slots)


def _most(spec: StudySpec, slots: int) -> int | None:
    if isinstance(spec.max_concurrent, int):
        return spec.max_concurrent
    if spec.sampler.name in INDEPENDENT:
        return None
    return max(2 * slots, (spec.budget.trials or 0) // 4)
