"""Python's garbage collector, held off while much is read that stays, and seldom where little is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 50_000
"""So many new objects are more than what a turn of the widest slots brings, a few MB."""


@contextmanager
def held_off() -> Iterator[None]:
    """No cyclic garbage is looked for: it would go through all that was read so far, again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def seldom() -> Iterator[None]:
    """Cyclic garbage is looked for once in `MANY` new objects, unless the process does so less often still.

    By default it is after 700. A turn of a wide slot makes ten thousand that live for a moment; what is
    looked at meanwhile counts as old, and all that is old is looked through again and again.
    """
    young, *older = before = gc.get_threshold()
    if young:  # 0: it is off
        gc.set_threshold(max(young, MANY), *older)
    try:
        yield
    finally:
        gc.set_threshold(*before)
