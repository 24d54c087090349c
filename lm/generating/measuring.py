"""Metrics of generation at a report, and samples: prompts, the texts that follow, what those are worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lm import base, examples
from lm.generating import harness, prompts, scores, texts
from train_core.errors import TaskError

FEATURES = ("chat_feature", "completion_feature", "prompt_feature", "text_feature")


def answered(
    model: Any, hp: Any, folder: Path, asked: Sequence[str], max_tokens: int
) -> list[tuple[str, str]]:
    """Each prompt with what the model answers, as `mlx_lm.generate` asks it. Raises TaskError."""
    if not asked:
        return []
    tokenizer = base.tokenizer(base.located(hp.model, folder), trust_remote_code=hp.trust_remote_code)
    tokens = [prompts.of_text(tokenizer, text) for text in asked]
    found = texts.generated(model, tokenizer, tokens, max_tokens=max_tokens)
    return list(zip(asked, found, strict=True))


def measured(model: Any, hp: Any, folder: Path, part: str, most: int | None) -> dict[str, float]:
    """The metrics that `hp` names over at most `most` examples of a part. Raises TaskError.

    Tasks of lm-evaluation-harness have examples of their own, and count as validation.
    """
    limit = None if hp.generation_examples < 0 else int(hp.generation_examples)
    limit = limit if most is None else most
    path = base.located(hp.model, folder)
    tokenizer = base.tokenizer(path, trust_remote_code=hp.trust_remote_code)
    metrics = scores.listed(hp.generation_metrics)
    of_texts = [metric for metric in metrics if not metric.startswith(f"{scores.HARNESS}:")]
    found: list[tuple[str, dict[str, float]]] = []
    if of_texts:
        data = examples.located(hp.data, folder)
        features = tuple((name, getattr(hp, name)) for name in FEATURES)
        name = examples.PARTS[part]
        asked = prompts.of_part(data, name, path, features, limit, trust_remote_code=hp.trust_remote_code)
        tokens = [prompt.tokens for prompt in asked]
        written = texts.generated(model, tokenizer, tokens, max_tokens=hp.max_tokens)
        file = data / f"{name}.jsonl"
        found += [(metric, scores.mean_scores(metric, folder, file, asked, written)) for metric in of_texts]
    if part == "validation":
        for task in (metric.partition(":")[2] for metric in metrics if metric not in of_texts):
            own = harness.scores(task, folder, model, tokenizer, most=limit, max_tokens=hp.max_tokens)
            found.append((f"{scores.HARNESS}:{task}", own))
    return _merged(found)


def _merged(found: list[tuple[str, dict[str, float]]]) -> dict[str, float]:
    merged: dict[str, float] = {}
    for metric, values in found:
        if twice := sorted({*merged} & {*values}):
            raise TaskError(f"generation_metrics: {metric} and another both report {twice[0]}; rename one")
        merged |= values
    return merged
