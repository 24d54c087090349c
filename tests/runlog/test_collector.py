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
