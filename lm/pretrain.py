"""The task: any architecture of mlx-lm, trained from random weights on files of tokens or texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

import train_core
from lm import architecture, base, settings, tokens
from lm.export import shown
from train_core import Dataset, Mean, Task
from train_core.errors import TaskError
from train_core.hyperparameters import Numbers, Words
from train_core.reads import Read

DEFAULTS: Mapping[str, int | str | None] = {
    "max_seq_length": 256,
    "text_feature": "text",
    "token_type": "uint16",
    "tokenizer": None,
    "val_examples": 100,
}


VALUES: Mapping[str, settings.Text | settings.Count | Words | Numbers] = {
    "config": settings.Text(),
    "data": settings.Text(),
    "max_seq_length": Numbers(1, integer=True),
    "text_feature": settings.Text(),
    "token_type": Words(("uint16", "uint32")),
    "tokenizer": settings.Text("a text, or null for none", or_null=True),
    "val_examples": settings.Count(),
}
"""What each value may be; those of the training core it checks itself."""


class Pretrain(Task):
    """`fixed: {config: config.json, data: data}`: a model's shape as mlx-lm reads it, and files to train on.

    Weights are drawn under each trial's key. An example is `max_seq_length` tokens, each predicted from those
    before it.
    """

    static = ("config", "data", *DEFAULTS)

    def filled(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        made = {**DEFAULTS, **given}
        for key, values in VALUES.items():
            if key in made and not values.accepts(made[key]):
                raise TaskError(f"the study: {key}: must be {values.rule}, got {made[key]!r}")
        return made

    def reads(self, given: Mapping[str, Any]) -> Mapping[str, Read]:
        """The configuration, whose text is kept, the files of tokens, and the tokenizer of texts."""
        filled = self.filled(given)
        config, data, tokenizer = (str(filled[name] or "") for name in ("config", "data", "tokenizer"))
        found = {config: Read(self.folder / config, kept=True)}
        found |= {f"{data}/{path.name}": Read(path) for path in tokens.files(data, self.folder)}
        return found | ({tokenizer: Read(base.located(tokenizer, self.folder))} if tokenizer else {})

    def data(
        self,
        config: str,
        data: str,
        max_seq_length: int,
        text_feature: str,
        token_type: str,
        tokenizer: str | None,
        val_examples: int,
    ) -> Dataset:
        shape = architecture.read(config, self.folder, self.recorded)
        if shape.longest is not None and max_seq_length > shape.longest:
            raise TaskError(
                f"max_seq_length {max_seq_length} is above {shape.longest}, the longest text of "
                f"{shape.name}. Lower it"
            )
        encoder = None if tokenizer is None else base.tokenizer(base.located(tokenizer, self.folder))
        parts = []
        for file, most in zip(tokens.located(data, self.folder), (-1, val_examples, -1), strict=False):
            found = tokens.read(file, token_type=token_type, tokenizer=encoder, feature=text_feature)
            tokens.check(found, file, shape.vocabulary)
            parts.append(tokens.windows(found, file, context=max_seq_length, most=most))
        train, validation, *test = parts
        return Dataset(train, validation, test=test[0] if test else None)

    def model(self, config: str, **static: Any) -> nn.Module:
        return architecture.read(config, self.folder, self.recorded).model()

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        losses = train_core.cross_entropy(base.called_afresh(model, batch["inputs"]), batch["targets"])
        return Mean(losses.mean(axis=1))

    def count_tokens(self, weight: float, *, max_seq_length: int, **static: Any) -> float:
        """All of each example."""
        return weight * max_seq_length

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        loss = self.loss(model, batch, hp)
        return {"loss": loss, "perplexity": train_core.Exponential(*loss)}

    def export(self, weights: Mapping[str, Any], hyperparameters: Mapping[str, Any], out: Path) -> list[str]:
        """Write the model as mlx-lm loads it; gives the command that uses it. Raises TaskError."""
        filled = self.filled(hyperparameters)
        if (out / architecture.WEIGHTS).exists():
            raise TaskError(f"{out}: already holds a model and is not overwritten. Choose another folder")
        out.mkdir(parents=True, exist_ok=True)
        architecture.read(filled["config"], self.folder, self.recorded).write(weights, out)
        if filled["tokenizer"] is None:
            return []
        base.tokenizer(base.located(filled["tokenizer"], self.folder)).save_pretrained(out)
        return [f"mlx_lm.generate --model {shown(out)} --prompt '...'"]
