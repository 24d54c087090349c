"""Texts that a model generates, by mlx-lm and at temperature 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlx_lm import batch_generate, generate
from mlx_lm.models.cache import make_prompt_cache

from lm import base
from train_core.errors import TaskError


def generated(model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], *, max_tokens: int) -> list[str]:
    """What follows each of the prompts, which are tokens; at most so many tokens. Raises TaskError.

    All together where mlx-lm can, as its server decides it. What the model keeps for its next call is lost.
    """
    own = base.twin(model)
    try:
        if all(hasattr(cache, "merge") for cache in make_prompt_cache(own)):
            asked = [list(prompt) for prompt in prompts]
            return list(batch_generate(own, tokenizer, asked, max_tokens=max_tokens).texts)
        return [generate(own, tokenizer, list(prompt), max_tokens=max_tokens) for prompt in prompts]
    except Exception as error:  # each architecture has limits of its own
        problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise TaskError(f"mlx-lm cannot generate with this model: {problem}") from error
