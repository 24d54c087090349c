"""Hyperparameter sweeps on Macs: `sweep.run("study.yaml").best`, or `python -m sweep run study.yaml`.

run         run a study to its budget, or resume it: a file's, or a class or function of Python
start       the same beside what a notebook does next
Study       trials that a program asks for, trains itself and tells of
float, int, choices   entries of a space in few words
check       what would run, and everything that is wrong
plan        how long a study would take
warm        have every node compile a study's programs and measure their lanes
extend      train the best trials of a run for longer
load        a run as pandas tables
status      how a run stands
list_runs   all runs of a folder
show        one trial
logs        what its command printed
compare     runs side by side
retry       ask failed trials again
replay      train trials of a run again, and compare with what it recorded
set, enqueue, prune, finish, pause, resume, stop   steer a study while it runs
note, tag   write on a run or a trial
remove      delete checkpoints
verify      read every file of a run, say what is damaged
StudySpec   a study file that was read
SweepError  what all of these raise

Its packages, what may import what from top to bottom:

cli         the command line
api         one module a verb
driver      the loop of a study and what it owns
executors   how workers are reached
search      all that touches Optuna
worker      the process that trains
rundir      files that survive a kill
scheduler   what happens next
spec        what a study file says
vocabulary  the values that pass between them
errors      errors by who acts next

Importing this package loads none of ray, mlx, optuna or pandas, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sweep.vocabulary import own_packages as own_packages  # before any of our other packages is imported

if TYPE_CHECKING:
    from analysis.load import load
    from sweep.api.check import check
    from sweep.api.compare import compare
    from sweep.api.extend import extend
    from sweep.api.keeping.remove import remove
    from sweep.api.keeping.verify import verify
    from sweep.api.list_runs import list_runs
    from sweep.api.logs import logs
    from sweep.api.plan import plan
    from sweep.api.python.asking.study import Study
    from sweep.api.python.handle import start
    from sweep.api.python.space import choices, float_, int_
    from sweep.api.replaying.replay import replay
    from sweep.api.retry import retry
    from sweep.api.run import run
    from sweep.api.show import read_trial as show
    from sweep.api.status import read_status as status
    from sweep.api.steering.verbs import enqueue, finish, note, pause, prune, resume, set_, stop, tag
    from sweep.api.warm import warm
    from sweep.errors import SweepError
    from sweep.spec.schema import StudySpec

    float = float_
    int = int_
    set = set_
    __version__: str

_HOMES = {
    "Study": "sweep.api.python.asking.study",
    "StudySpec": "sweep.spec.schema",
    "SweepError": "sweep.errors",
    "check": "sweep.api.check",
    "choices": "sweep.api.python.space",
    "compare": "sweep.api.compare",
    "enqueue": "sweep.api.steering.verbs",
    "extend": "sweep.api.extend",
    "finish": "sweep.api.steering.verbs",
    "float": "sweep.api.python.space",
    "int": "sweep.api.python.space",
    "list_runs": "sweep.api.list_runs",
    "load": "analysis.load",
    "logs": "sweep.api.logs",
    "note": "sweep.api.steering.verbs",
    "pause": "sweep.api.steering.verbs",
    "plan": "sweep.api.plan",
    "prune": "sweep.api.steering.verbs",
    "remove": "sweep.api.keeping.remove",
    "replay": "sweep.api.replaying.replay",
    "resume": "sweep.api.steering.verbs",
    "retry": "sweep.api.retry",
    "run": "sweep.api.run",
    "set": "sweep.api.steering.verbs",
    "show": "sweep.api.show",
    "start": "sweep.api.python.handle",
    "status": "sweep.api.status",
    "stop": "sweep.api.steering.verbs",
    "tag": "sweep.api.steering.verbs",
    "verify": "sweep.api.keeping.verify",
    "warm": "sweep.api.warm",
}
_INNER = {"float": "float_", "int": "int_", "set": "set_", "show": "read_trial", "status": "read_status"}
"""What a function is called where its name is a module's or a built-in's."""


__all__ = [
    "Study",
    "StudySpec",
    "SweepError",
    "__version__",
    "check",
    "choices",
    "compare",
    "enqueue",
    "extend",
    "finish",
    "list_runs",
    "load",
    "logs",
    "note",
    "pause",
    "plan",
    "prune",
    "remove",
    "replay",
    "resume",
    "retry",
    "run",
    "show",
    "start",
    "status",
    "stop",
    "tag",
    "verify",
    "warm",
]
"""What `from sweep import *` gives; `float`, `int` and `set` are left out: they would hide the built-ins."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("sweep-mlx")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), _INNER.get(name, name))


def __dir__() -> list[str]:
    return sorted({*__all__, *_HOMES})
