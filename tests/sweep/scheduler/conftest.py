"""A failing test of the scheduler prints the last transitions of its world."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.sweep import world


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed and world.LATEST:
        report.sections.append(("transitions", str(world.LATEST[-1].log)))
    return report


@pytest.fixture(autouse=True)
def _no_world_of_another_test() -> None:
    world.LATEST.clear()
