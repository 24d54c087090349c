"""Initial states of many lanes at once."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tests.train_core.conftest import BASE, Small, program_of
from train_core import keys
from train_core.step.functional import flatten


class Assigning(Small):
    """Writes into a parameter by an index, which MLX maps wrongly."""

    def model(self, hidden: int) -> nn.Module:
        model = super().model(hidden)
        model.first.weight[0] = 0.0
        return model


class Looking(Small):
    """Looks at a parameter's value while it is built, which cannot be mapped."""

    def model(self, hidden: int) -> nn.Module:
        model = super().model(hidden)
        assert float(model.first.weight.max()) > 0
        return model


@pytest.mark.parametrize(("task", "mapped"), [(Small(), True), (Assigning(), False), (Looking(), False)])
def test_invariant_2_lanes_start_as_runs_alone_do(task: Small, mapped: bool) -> None:
    program = program_of(task, **BASE)
    parents = [keys.fold_in(keys.key(3), n) for n in range(3)]
    lanes = flatten(program.init_lanes(parents))
    assert program._maps_init is mapped
    for i, parent in enumerate(parents):
        for path, leaf in flatten(program.init(parent)).items():
            np.testing.assert_array_equal(np.array(lanes[path][i]), np.array(leaf), err_msg=path)
            assert lanes[path].dtype == leaf.dtype
    weights = program.step.leaves(lanes["parameters"])["first.weight"]
    assert weights.shape == (3, 8, 6)
    assert not mx.array_equal(weights[0], weights[1])
