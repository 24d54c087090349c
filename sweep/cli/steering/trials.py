"""Verbs that change what a study tries and how: set, enqueue, prune, finish."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.cli.options import AsJson
from sweep.cli.steering.asking import Steered, Trial, print_answer


def set_(
    run: Steered,
    values: Annotated[list[str], typer.Argument(metavar="KEY=VALUE ...", help="Keys of the study file.")],
    as_json: AsJson = False,
) -> None:
    """Change keys of a study while it runs: its budget, when it stops, lanes, checkpoints.

    Keys are budget.trials, budget.time, max_concurrent, lanes, and those of stop, checkpoints and failures.
    A resume uses what was set, until the study file is edited.

    \b
    sweep set runs/digits budget.trials=200
    sweep set runs/digits max_concurrent=4 checkpoints.keep_best=10
    sweep set runs/digits stop.target=null        no target any more
    """
    from sweep.api.steering import verbs

    print_answer(
        lambda: verbs.set_(run, verbs.texts(values, "budget.trials=200")),
        as_json=as_json,
    )


def enqueue(
    run: Steered,
    values: Annotated[list[str], typer.Argument(metavar="NAME=VALUE ...", help="Hyperparameters to try.")],
    as_json: AsJson = False,
) -> None:
    """Have a study try a point next; the sampler fills in what is left open. It counts in the budget.

    \b
    sweep enqueue runs/digits learning_rate=0.01
    sweep enqueue runs/digits learning_rate=0.01 hidden=64
    """
    from sweep.api.steering import verbs

    print_answer(lambda: verbs.enqueue(run, verbs.texts(values, "learning_rate=0.01")), as_json=as_json)


def prune(run: Steered, trial: Trial, as_json: AsJson = False) -> None:
    """End a trial as PRUNED.

    \b
    sweep prune runs/digits 12
    """
    from sweep.api.steering import verbs

    print_answer(lambda: verbs.prune(run, trial), as_json=as_json)


def finish(run: Steered, trial: Trial, as_json: AsJson = False) -> None:
    """End a trial as COMPLETE where it stands: with its last report's value, and its checkpoint.

    \b
    sweep finish runs/digits 12
    """
    from sweep.api.steering import verbs

    print_answer(lambda: verbs.finish(run, trial), as_json=as_json)
