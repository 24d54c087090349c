"""What all tests share."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator

import pytest

_setrlimit = resource.setrlimit


def _keep_open_files(which: int, limits: tuple[int, int]) -> None:
    """mlx-lm lowers its process's limit of open files for good, and tests after it start what needs more."""
    if which != resource.RLIMIT_NOFILE:
        _setrlimit(which, limits)


resource.setrlimit = _keep_open_files

LONG_FIRST = ("cluster", "slow")
"""Marks of files that take minutes: begun last they would be waited for alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files by what they are marked as; with --no-loadscope-reorder they are given out so."""
    ranks: dict[object, int] = {}
    for item in items:
        marks = [index for index, name in enumerate(LONG_FIRST) if item.get_closest_marker(name)]
        ranks[item.path] = min([*marks, ranks.get(item.path, len(LONG_FIRST))])
    items.sort(key=lambda item: ranks[item.path])


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """In the background SIGINT is ignored, under nohup SIGHUP: what the tests start would inherit that."""
    ignored = [each for each in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
