"""The study of a recipe, and what each of its runs reports."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, Literal

from sweep.spec.parse import parse
from sweep.spec.schema import Choices, Extent, FixedOrder, FloatRange, Pruner, Sampler, Stop, StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import RunId, Stretch
from tests.simulation.recipe import Recipe

EVERY = 16
"""Examples between two reports."""

METRIC = "validation_loss"

DROPOUTS = (0.0, 0.5)

TEXT = f"""\
name: simulated
seed: 3
task: task.py:Task
objective: {{metric: {METRIC}, direction: minimize}}
executor: inline
space:
  learning_rate: {{low: 1.0e-3, high: 1.0e-1, log: true}}
  hidden: {{choices: [1]}}
fixed: {{optimizer: sgd}}
trial: {{micro_batch_size: 16, length: {{examples: 16}}, report_every: {{examples: 16}}}}
budget: {{trials: 1}}
"""

GRID = (0.001, 0.003, 0.01, 0.03, 0.1)

BOUNDS = ((1e-3, 1e-1), (1e-2, 1e-1), (1e-3, 1.0), (0.5, 2.0))
"""Where the learning rate is looked for; a trial of the last one fits in none of the others."""

DESCRIPTION = Description(
    static=("hidden",),
    switches=(),
    dynamic=("learning_rate", "dropout"),
    metrics=(METRIC,),
    train_examples=64,
    validation_examples=16,
    device="cpu",
    chip="simulated",
    memory_bytes=1 << 33,
    vmap_incompatibility=None,
)


@lru_cache(1)
def _base() -> StudySpec:
    return parse(TEXT, "study.yaml")


def study(recipe: Recipe, *, trials: int | None = None) -> StudySpec:
    """The study file's content, as it would have been read; `trials` another budget than the recipe's."""
    base = _base()
    extent = Extent(examples=EVERY * recipe.reports)
    space, fixed = dict[str, Any](), {**base.fixed}
    low, high = BOUNDS[recipe.bounds]
    space["learning_rate"] = FloatRange(low=low, high=high, log=True)
    if recipe.sampler == "grid":
        space["learning_rate"] = Choices(
            choices=tuple(each for each in GRID if low <= each <= high) or (low,)
        )
    if recipe.fixed:
        fixed["hidden"] = recipe.fixed
    else:
        space["hidden"] = Choices(choices=tuple(range(1, recipe.programs + 1)))
    if recipe.entry:
        space["dropout"] = Choices(choices=DROPOUTS)
    changes: dict[str, Any] = {
        "space": space,
        "fixed": fixed,
        "earlier": {"dropout": DROPOUTS[0]} if recipe.entry else {},
        "trial": base.trial.model_copy(
            update={"length": extent, "replicates": recipe.replicates, "timeout_s": recipe.timeout_s}
        ),
        "lanes": recipe.lanes,
        "max_concurrent": recipe.max_concurrent,
        "sampler": _sampler(recipe),
        "order": _order(recipe),
        "pruner": _pruner(recipe.pruner),
        "budget": base.budget.model_copy(update={"trials": recipe.trials if trials is None else trials}),
        "stop": Stop(patience=recipe.patience),
        "failures": base.failures.model_copy(update={"retry": recipe.retry, "stop_after": recipe.stop_after}),
        "checkpoints": base.checkpoints.model_copy(
            update={
                "keep_best": recipe.keep_best,
                "keep_best_report": recipe.keep_best_report,
                "every_s": recipe.every_s,
            }
        ),
    }
    return base.model_copy(update=changes)


def _order(recipe: Recipe) -> Literal["free", "fixed"] | FixedOrder:
    if recipe.lag is not None:
        return FixedOrder(lag=recipe.lag)
    return "fixed" if recipe.together else "free"


def _sampler(recipe: Recipe) -> Sampler:
    """In a fixed order one that learns from the first trials on."""
    if recipe.sampler == "pbt":
        interval = {"examples": EVERY * recipe.interval}
        return Sampler.model_validate({"name": "pbt", "interval": interval, "quantile": 0.34})
    if recipe.sampler != "tpe" or recipe.lag is None:
        return Sampler(name=recipe.sampler)
    return Sampler.model_validate({"name": "tpe", "n_startup_trials": 3})


def _pruner(name: str) -> Pruner:
    return Pruner.model_validate({"name": name, **({"patience": 1} if name == "patient" else {})})


def value(run: RunId, examples: int) -> float:
    """What a run reports at a boundary: it depends on nothing else."""
    digest = hashlib.blake2b(f"{run.trial}/{run.replicate}/{examples}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def advanced(state: str, stretch: Stretch, number: int, examples: int) -> str:
    """A member's state at the next boundary: all that its lineage says, and nothing else, is in it."""
    key = number if stretch.trial is None else stretch.trial
    told = f"{state}/{key}/{sorted(stretch.hyperparameters.items())}/{examples}"
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def value_of(state: str) -> float:
    """What a member in this state reports."""
    return int(state, 16) / 2**64


def content(run: RunId, examples: int) -> bytes:
    """The bytes of a checkpoint of a run."""
    return f"{run.trial}/{run.replicate}/{examples}".encode() * 3
