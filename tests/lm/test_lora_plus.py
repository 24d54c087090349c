"""LoRA+ and rsLoRA against a loop written by hand: another rate for B, another scale, numbers of a trial."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

from lm import settings
from tests.lm.tasks import SETTING, task_of
from tests.train_core.conftest import EXACT, against_alone
from train_core import Length, Population, Program, TaskError, keys, split_for
from train_core.inference import weight_tree

pytestmark = pytest.mark.usefixtures("uncompiled")
UPDATES, RATIO, RANK, ALPHA = 3, 8.0, 4, 16.0
EPS = 1e-3
"""Adam moves by the sign of a gradient that is rounding alone, unless this outweighs it."""
PLUS: dict[str, Any] = {
    **{name: value for name, value in SETTING.items() if name != "scale"},
    "rank": RANK,
    "max_rank": RANK,
    "alpha": ALPHA,
    "rslora": True,
    "lora_plus_ratio": RATIO,
    "optimizer": "adamw",
    "weight_decay": 0.1,
    "optimizer_eps": EPS,
}
LENGTH = Length(examples=2 * UPDATES, report_every=2 * UPDATES)


def by_hand(population: Population) -> dict[str, mx.array]:
    """The adapters after MLX's own optimizers, one for A and one for B, over mlx-lm's own layers."""
    program = population.program
    held = population._lanes[0]
    model: Any = program.build(keys.fold_in(keys.key(0), keys.INIT))
    for _, part in model.adapters:
        part.scale = ALPHA / math.sqrt(RANK)
    rates = {"lora_a": PLUS["learning_rate"], "lora_b": RATIO * PLUS["learning_rate"]}
    own = {
        leaf: mlx.optimizers.AdamW(rate, weight_decay=0.1, eps=EPS, bias_correction=False)
        for leaf, rate in rates.items()
    }

    def loss(model: Any, batch: dict[str, mx.array]) -> mx.array:
        places = mx.arange(1, batch["targets"].shape[1] + 1)
        counted = (places >= batch["span"][:, :1]) & (places <= batch["span"][:, 1:])
        losses = nn.losses.cross_entropy(model(batch["inputs"]), batch["targets"]) * counted
        return losses.sum() / counted.sum()

    for update in range(UPDATES):
        batch = program.data.batch("train", held.sampler.take(2 * update, 2))
        gradients: Any = dict(tree_flatten(nn.value_and_grad(model, loss)(model, batch)[1]))
        weights: Any = dict(tree_flatten(model.trainable_parameters()))
        for leaf, optimizer in own.items():
            of = [path for path in weights if path.endswith(leaf)]
            moved = optimizer.apply_gradients({p: gradients[p] for p in of}, {p: weights[p] for p in of})
            weights |= moved
        model.update(tree_unflatten(list(weights.items())))
    return dict(tree_flatten(model.trainable_parameters()))


@pytest.mark.slow
def test_rates_and_scales_are_those_of_a_loop_by_hand(own: Path) -> None:
    task = task_of(own)
    population = Population(Program(task, split_for(task, PLUS)[0]), 1)
    population.load(0, key=keys.key(0), hyperparameters=PLUS, length=LENGTH)
    wanted = by_hand(population)
    population.advance()
    snapshot = population.snapshot(0)
    for path, leaf in wanted.items():
        found = np.array(snapshot.arrays[f"parameters.{path}"])
        np.testing.assert_allclose(found, np.array(leaf), rtol=1e-3, atol=5e-5, err_msg=path)
    task.export(weight_tree(snapshot), PLUS, own / "adapters")
    written = json.loads((own / "adapters" / "adapter_config.json").read_text())
    assert written["lora_parameters"]["scale"] == pytest.approx(ALPHA / math.sqrt(RANK))


@pytest.mark.slow
def test_invariant_2_lanes_of_other_ratios_and_alphas_equal_their_runs_alone(example: Path) -> None:
    others = [
        PLUS,
        {**PLUS, "lora_plus_ratio": 1.0, "rslora": False},
        {**PLUS, "lora_plus_ratio": 2.0, "alpha": 0.0, "rslora": False},
    ]
    first, plain, _ = against_alone(task_of(example), *others, length=LENGTH)
    path = next(path for path in first.arrays if path.endswith("lora_b"))
    moved = [float(mx.abs(end.arrays[path]).max()) for end in (first, plain)]
    assert moved[0] > 4 * moved[1]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["muon", "adafactor", "lion"])
def test_a_ratio_of_one_changes_no_optimizer_and_another_does(example: Path, optimizer: str) -> None:
    task = task_of(example)
    base = {**PLUS, "optimizer": optimizer}
    ends = []
    for ratio in (1.0, 4.0):
        population = Population(Program(task, split_for(task, base)[0]), 1)
        given = {**base, "lora_plus_ratio": ratio}
        population.load(0, key=keys.key(0), hyperparameters=given, length=Length(2, 2))
        population.advance()
        ends.append(population.snapshot(0).arrays)
    a, b = (
        next(p for p in ends[0] if p.endswith(name) and p.startswith("parameters."))
        for name in ("lora_a", "lora_b")
    )
    assert mx.array_equal(ends[0][a], ends[1][a]) or not EXACT
    assert float(mx.abs(ends[1][b]).max()) == pytest.approx(4 * float(mx.abs(ends[0][b]).max()), rel=1e-3)


def test_two_scales_and_a_root_of_none_are_a_line(example: Path) -> None:
    def filled(**given: Any) -> None:
        settings.filled({**SETTING, **given}, example)

    with pytest.raises(TaskError, match=r"alpha: scale is alpha / rank, and both are given\. Keep one"):
        filled(alpha=16.0)
    with pytest.raises(TaskError, match=r"rslora: scales by alpha / sqrt\(rank\), and alpha is missing"):
        filled(rslora=True)
    with pytest.raises(TaskError, match=r"lora_plus_ratio: must be a number above 0, got 0"):
        filled(lora_plus_ratio=0)
