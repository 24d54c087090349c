"""One run by itself: from report to report, stopped, resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.train_core.conftest import BASE, LENGTH, Small, assert_equal, assert_same
from train_core import Run, TrialError, keys, load, save

pytestmark = pytest.mark.usefixtures("uncompiled")


def test_a_run_goes_on_from_its_checkpoint_as_if_never_stopped(tmp_path: Path) -> None:
    whole = Run(Small(), BASE, key=keys.key(3), length=LENGTH)
    reports = list(whole)
    assert [report.examples for report in reports] == [50, 100, 130]
    stopped = Run(Small(), BASE, key=keys.key(3), length=LENGTH)
    first = next(iter(stopped))
    save(tmp_path / "a.safetensors", stopped.snapshot())
    again = Run(Small(), BASE, key=keys.key(3), length=LENGTH, checkpoint=load(tmp_path / "a.safetensors"))
    assert_same([first, *again], reports)
    assert_equal(again.snapshot(), whole.snapshot())


def test_a_checkpoints_weights_load_into_the_model() -> None:
    run = Run(Small(), BASE, key=keys.key(3), length=LENGTH)
    list(run)
    weights = run.snapshot().weights
    model = Small().model(hidden=8)
    model.load_weights(list(weights.items()))
    assert set(weights) == {f"{layer}.{name}" for layer in ("first", "out") for name in ("weight", "bias")}


def test_a_diverging_run_raises() -> None:
    run = Run(Small(), BASE | {"learning_rate": 1e30}, key=keys.key(3), length=LENGTH)
    with pytest.raises(TrialError, match=r"not finite in update \d+ \(micro-batch \d+\)"):
        list(run)
