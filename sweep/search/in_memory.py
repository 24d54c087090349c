"""Optuna's storage in memory, for studies that leave nothing behind."""

from __future__ import annotations

import optuna


class InMemoryStorage(optuna.storages.InMemoryStorage):
    """A journal that is kept nowhere."""

    dirty = False

    def commit(self) -> None:
        """Do nothing: there is no disk to wait for."""

    def close(self) -> None:
        """Do nothing: there is no file to close."""
