"""The command line: `python -m sweep`. Only this package prints results; each verb's module says which.

studies       verbs on a study file: run, check, plan
runs          verbs on run directories: status
ending        how a command ends: its errors, its exit code, its one JSON object
options       arguments that several verbs share
"""

from __future__ import annotations

import typer

from clusters import commands as cluster
from sweep.cli import runs, studies

app = typer.Typer(
    name="sweep",
    help="Hyperparameter sweeps for Macs: Optuna proposes, Ray dispatches, MLX trains.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for verb in (studies.run, studies.check, runs.status, studies.plan):
    app.command()(verb)
app.add_typer(cluster.app, name="cluster")


def main() -> None:
    """Run the command line."""
    app()
