"""What all tests of clusters share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_terminal_size() -> Iterator[None]:
    """Tests that run side by side are given a terminal of 80 columns, at which `ps` cuts its lines off."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COLUMNS", "LINES"):
            patch.delenv(name, raising=False)
        yield
