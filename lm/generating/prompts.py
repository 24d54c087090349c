"""What a model is asked and what it should answer: examples of a part as prompts with references."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mlx_lm.tuner.datasets import TextDataset

from lm import base, examples
from train_core.errors import TaskError


class Prompt(NamedTuple):
    """One example, the `line` of its file: tokens that the model reads, what is asked, what is right."""

    line: int
    tokens: tuple[int, ...]
    asked: str
    reference: str


@cache
def of_part(
    folder: Path,
    name: str,
    model: Path,
    features: tuple[tuple[str, Any], ...],
    most: int | None,
    *,
    trust_remote_code: bool = False,
) -> tuple[Prompt, ...]:
    """At most so many examples of a part that have an answer, read once a process. Raises TaskError."""
    file = folder / f"{name}.jsonl"
    tokenizer = base.tokenizer(model, trust_remote_code=trust_remote_code)
    dataset = examples.part(folder, name, tokenizer, dict(features))
    if isinstance(dataset, TextDataset):
        raise TaskError(
            f"{file}: holds texts, which have no answer that generated ones can be compared with. Write "
            "prompts and completions, or chats, or leave generation_metrics out"
        )
    asked = {index: found for index in range(len(dataset)) if (found := _asked(dataset, index, file))}
    if not asked:
        raise TaskError(f"{file}: no example ends with an answer in words, which generation_metrics needs")
    places = [list(asked)[place] for place in examples.chosen(len(asked), most)]
    return tuple(_prompt(dataset, index, file, asked[index]) for index in places)


def of_text(tokenizer: Any, text: str) -> tuple[int, ...]:
    """A text as `mlx_lm.generate` asks it: as a chat, where the tokenizer has a template for one."""
    if not tokenizer.has_chat_template:
        return tuple(tokenizer.encode(text))
    messages = [{"role": "user", "content": text}]
    found = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    return tuple(found)


def _asked(dataset: Any, index: int, file: Path) -> list[dict[str, Any]] | None:
    """The messages of an example, its answer last; None where nothing is asked or answered in words."""
    with examples.reading(file, index):
        example: Mapping[str, Any] = dataset[index]
        if hasattr(dataset, "prompt_key"):
            messages = [
                {"role": "user", "content": example[dataset.prompt_key]},
                {"role": "assistant", "content": example[dataset.completion_key]},
            ]
        else:
            messages = example[dataset.chat_key]
        answered = len(messages) > 1 and messages[-1].get("role") == "assistant"
        return messages if answered and isinstance(messages[-1].get("content"), str) else None


def _prompt(dataset: Any, index: int, file: Path, messages: list[dict[str, Any]]) -> Prompt:
    """As mlx-lm makes the masked part of an example."""
    with examples.reading(file, index):
        tokens = dataset.tokenizer.apply_chat_template(
            messages[:-1],
            tools=dataset[index].get("tools", None),
            add_generation_prompt=True,
            return_dict=False,
        )
        return Prompt(index + 1, tuple(tokens), _words(messages[-2].get("content")), messages[-1]["content"])


def _words(content: Any) -> str:
    """A message's content as text: it may be parts, of which some are text."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, Mapping))
    return content or ""
