"""Optuna's storage in memory, for studies that leave nothing behind."""

from __future__ import annotations

from optuna.storages import InMemoryStorage


class Memory(InMemoryStorage):
    """A journal that is kept nowhere."""

    dirty = False

    def commit(self) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        """There is nothing to let go of."""
