"""Layers of models that do not call them `layers`: numbered, left out, exported."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

from mlx_lm.models import gpt2

from lm import adapters
from lm.export import _prefixes


def test_gpt_2_s_layers_are_numbered() -> None:
    sizes: dict[str, Any] = {"n_ctx": 16, "n_embd": 8, "n_head": 2, "n_layer": 3, "n_positions": 16}
    model: Any = gpt2.Model(
        gpt2.ModelArgs(model_type="gpt2", **sizes, layer_norm_epsilon=1e-5, vocab_size=16)
    )
    model.freeze()
    adapters.add(model, kind="lora", num_layers=2, rank=2, keys=None)
    assert {layer for layer, _ in model.adapters} == {1, 2}
    assert _prefixes(model, 1) == ("model.h.0.",)
