"""Architectures of mlx-lm in lanes: a few of the table are tried again, the page has each once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

from benchmarks.architectures import CONFIGS, LEAST, tried

PAGE = (Path(__file__).parents[2] / "docs" / "language-models.md").read_text()
ROWS = re.findall(r"^\| ([a-z ,]+) \| (\d+) \| (`.*) \|$", PAGE, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["afm7", "laguna", "mixtral"])
def test_an_architecture_trains_in_lanes_exactly(name: str) -> None:
    """A fused layer, an update by places, experts."""
    assert tried(name) == ("lanes", "")


@pytest.mark.slow
def test_what_a_model_keeps_of_one_trace_is_not_there_in_the_next() -> None:
    found, why = tried("kimi_k3")
    assert found == "lanes"
    assert why.startswith("attention only, else: kimi_k3.py:")
    assert "Write lora_parameters.keys in the configuration, such as [self_attn." in why
    assert why.count("\n") == 0


@pytest.mark.slow
def test_what_mlx_lm_cannot_adapt_is_refused_in_a_line() -> None:
    found, why = tried("bitnet")
    assert found == "refused"
    assert "there is no trainable parameter" in why
    assert "\n" not in why


def test_the_page_has_each_architecture_once() -> None:
    named = {what: re.findall(r"`([^`]+)`", names) for what, _, names in ROWS}
    assert {what: len(names) for what, names in named.items()} == {what: int(n) for what, n, _ in ROWS}
    every = [name for names in named.values() for name in names]
    assert sorted(every) == sorted(CONFIGS)
    assert len(named["in lanes, exactly"]) >= LEAST
