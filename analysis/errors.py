"""What analysis says when a run directory is not as it should be; one line each."""

from __future__ import annotations

import warnings


class RunError(Exception):
    """What was asked for is not in the run directory; one line says why and what to do."""


class RunWarning(UserWarning):
    """Something in a run directory is damaged, missing or too new; all the rest was read."""


def warn(text: str) -> None:
    """Say one line about a run directory."""
    warnings.warn(text, RunWarning, stacklevel=3)
