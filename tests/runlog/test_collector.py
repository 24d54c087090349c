"""The collector is held off for a block, and as it was after."""

from __future__ import annotations

import gc

import pytest

from runlog import collector


def test_the_collector_is_off_inside_and_as_it_was_after() -> None:
    assert gc.isenabled()
    with collector.held_off():
        assert not gc.isenabled()
        with collector.held_off():
            pass
        assert not gc.isenabled(), "an inner block turns nothing on"
    assert gc.isenabled()


def test_the_collector_is_on_again_after_an_error() -> None:
    with pytest.raises(ValueError, match="damaged"), collector.held_off():
        raise ValueError("damaged")
    assert gc.isenabled()


@pytest.mark.parametrize(("young", "meanwhile"), [(700, collector.MANY), (100_000, 100_000), (0, 0)])
def test_the_collector_looks_seldom_meanwhile_and_a_process_that_says_so_itself_is_heeded(
    young: int, meanwhile: int
) -> None:
    found = gc.get_threshold()
    try:
        gc.set_threshold(young, 10, 10)
        with collector.seldom():
            assert gc.get_threshold()[0] == meanwhile
        assert gc.get_threshold() == (young, 10, 10)
    finally:
        gc.set_threshold(*found)
