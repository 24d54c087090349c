"""How a command ends: errors on stderr, a result alone on stdout.

Exit codes: 0 success, 1 trials failed or a check found a problem, 2 an error (its message is on stderr), 130
interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from sweep.errors import SweepError

INTERRUPTED = 130
"""The exit code after a Ctrl-C."""

_SAFE = "interrupted. Recorded results are safe; run the same command to resume"


@contextmanager
def errors_end_the_command(interrupted: str = _SAFE) -> Iterator[None]:
    """Say an error in its own words and end with 2; after a Ctrl-C say its text or `interrupted`, 130."""
    try:
        yield
    except SweepError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        print(str(error) or interrupted, file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def results_on_stdout(reserved: bool) -> Iterator[None]:
    """While `reserved`, all that is printed goes to stderr, so that the result stands alone on stdout."""
    if not reserved:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
