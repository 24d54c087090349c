"""The formula of memory is what steps of tiny models take, and the page's table is made by it."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

from mlx_lm.models import llama

from lm import memory
from lm.memory import Shape
from tests.lm.tasks import SETTING, task_of
from train_core import Length, Population, Program, device, keys, split_for

PAGE = (Path(__file__).parents[2] / "docs" / "language-models.md").read_text()
TINY = Shape(180e3, 4, 64, 128, 4, 32, 512)
WIDER = Shape(730e3, 2, 128, 384, 8, 64, 512)
CASES: list[tuple[Shape, int, int, int, bool]] = [
    (TINY, 8, 4, 1, False),
    (TINY, 32, 4, 2, False),
    (TINY, 8, 8, 1, True),
    (WIDER, 8, 4, 2, False),
]


def peak(folder: Path, rank: int, batch: int, lanes: int, checkpointed: bool) -> tuple[int, int]:
    """Bytes at the peak of a step, the base and the data among them, and how wide its examples are."""
    setting: dict[str, Any] = {
        **SETTING, "rank": rank, "max_rank": rank, "micro_batch_size": batch, "max_seq_length": 64,
        "grad_checkpoint": checkpointed, "num_layers": -1, "max_num_layers": -1,
    }  # fmt: skip
    gc.collect()
    before = mx.get_active_memory()
    task = task_of(folder)
    program = Program(task, split_for(task, setting)[0])
    population = Population(program, lanes)
    population.at_widest = True
    length = Length(8 * batch, 8 * batch)
    for lane in range(lanes):
        population.load(lane, key=keys.key(lane), hyperparameters=setting, length=length)
    population.advance(1)
    gc.collect()
    mx.reset_peak_memory()
    population.advance(1)
    buckets = program.data.train_buckets
    assert buckets is not None
    return mx.get_peak_memory() - before, buckets.widths[-1]


def widen(folder: Path) -> None:
    """Put a wider model with random weights in the place of the base."""
    file = folder / "base" / "config.json"
    shape = {"hidden_size": 128, "num_hidden_layers": 2, "intermediate_size": 384}
    config = json.loads(file.read_text()) | shape | {"num_attention_heads": 8, "num_key_value_heads": 4}
    file.write_text(json.dumps(config))
    model: Any = llama.Model(llama.ModelArgs.from_dict(config))
    weights: Any = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "base" / "model.safetensors"), weights, metadata={"format": "mlx"})


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.skipif(device.kind() == "gpu", reason="a GPU's attention keeps other values")
@pytest.mark.parametrize(("shape", "rank", "batch", "lanes", "checkpointed"), CASES)
def test_the_formula_is_what_a_step_takes(
    own: Path, shape: Shape, rank: int, batch: int, lanes: int, checkpointed: bool
) -> None:
    if shape is WIDER:
        widen(own)
    found, width = peak(own, rank, batch, lanes, checkpointed)
    lane = shape.lane_bytes(rank, batch, width, checkpointed=checkpointed, number_bytes=4)
    assert shape.base_bytes(32) + lanes * lane == pytest.approx(found, rel=0.25)


def test_the_page_has_the_table() -> None:
    assert "\n".join(memory.rows()) in PAGE
