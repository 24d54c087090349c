"""The task: a model of mlx-lm, fine-tuned by adapters or in full; one program for all ranks and scales."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

import train_core
from lm import adapters, base, checkpointed, examples, export, settings
from lm.generating import measuring, scores
from train_core import Dataset, Mean, Task
from train_core.errors import TaskError
from train_core.reads import Read


class FineTune(Task):
    """LoRA, DoRA or full fine-tuning; `fixed: {config: lora_config.yaml}` is mlx-lm's own configuration.

    `rank`, `scale`, `dropout`, `num_layers` and the core's own are dynamic: changing one compiles nothing.
    `max_rank` and `max_num_layers` are the largest that the study tries. Without a `precision` in the study
    it is the type that the model is stored in.
    """

    static = ("config", *settings.STATIC, "max_rank", "max_num_layers", "drops_out")
    switches = ("dropout",)
    on_request = MappingProxyType(
        {"validation_exact_match": "Add generation_metrics: exact_match to `fixed` or the configuration"}
    )
    rate_factors = MappingProxyType({"*.lora_b": "lora_plus_ratio", "*.lora_b.*": "lora_plus_ratio"})

    def filled(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        found = settings.filled(given, self.folder, self.recorded)
        precision = base.precision(base.located(found["model"], self.folder))
        return {"precision": precision} | found | {"drops_out": found["dropout"] > 0}

    def reads(self, given: Mapping[str, Any]) -> Mapping[str, Read]:
        """The configuration, whose text is kept, and the files that it names."""
        config = given.get("config")
        found = {} if config is None else {str(config): Read(self.folder / str(config), kept=True)}
        for key, name in settings.named_files(given, self.folder, self.recorded).items():
            match key:
                case "model":
                    found[name] = Read(base.located(name, self.folder))
                case "data":
                    found |= {
                        f"{name}/{file}": Read(path) for file, path in examples.files(name, self.folder)
                    }
                case "generation_metrics":
                    found |= {file: Read(self.folder / file) for file in scores.files(name)}
                case _:
                    found[name] = Read(self.folder / name)
        return found

    def data(
        self,
        config: str | None,
        model: str,
        data: str,
        mask_prompt: bool,
        max_seq_length: int,
        val_batches: int,
        test_batches: int,
        trust_remote_code: bool,
        chat_feature: str,
        completion_feature: str,
        prompt_feature: str,
        text_feature: str,
    ) -> Dataset:
        features = {
            "mask_prompt": mask_prompt,
            "chat_feature": chat_feature,
            "completion_feature": completion_feature,
            "prompt_feature": prompt_feature,
            "text_feature": text_feature,
        }
        counts = {"validation": val_batches, "test": test_batches}
        parts = examples.load(
            examples.located(data, self.folder),
            base.tokenizer(base.located(model, self.folder), trust_remote_code=trust_remote_code),
            features,
            longest=max_seq_length,
            most={
                name: settings.examples_of(config, self.folder, batches, self.recorded)
                for name, batches in counts.items()
            },
        )
        if note := settings.left_to_the_study(config, self.folder, self.recorded):
            print(note, file=sys.stderr)
        # All its tokens: mlx-lm's loss counts the place after the last one, too, where the batch has it.
        lengths = {
            name: np.minimum(part["span"][:, 1], part["inputs"].shape[1]) for name, part in parts.items()
        }
        return Dataset(**parts, lengths=lengths, padded=("inputs", "targets"), pad_to=examples.PAD_TO)

    def model(self, **static: Any) -> nn.Module:
        path = base.located(static["model"], self.folder)
        model = base.model(path, trust_remote_code=static["trust_remote_code"])
        layers, count = static["max_num_layers"], len(model.layers)
        if layers > count:
            raise TaskError(
                f"num_layers is up to {layers} here, and {path} has {count} layers. Write num_layers: "
                f"{count}, or -1 for all, in the configuration or in the study; without it, it is 16"
            )
        if static["fine_tune_type"] == "full":
            for layer in model.layers[-max(layers, 0) :]:
                layer.unfreeze()
        else:
            keys = settings.lora_keys(static["config"], self.folder, self.recorded)
            kind = static["fine_tune_type"]
            adapters.add(model, kind=kind, num_layers=layers, rank=static["max_rank"], keys=keys)
            if not model.adapters:
                raise TaskError(
                    f"lora_parameters.keys: {', '.join(keys)}: no layer of {path} is called so"
                    if keys is not None
                    else f"mlx-lm has no adapter for any layer of {path}. Write fine_tune_type: full"
                )
        if static["grad_checkpoint"]:
            checkpointed.put_into(model)
        if static["resume_adapter_file"] is not None:
            adapters.resume(model, self.folder / static["resume_adapter_file"])
        return model

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        inputs, targets = batch["inputs"], batch["targets"]
        places = mx.arange(1, targets.shape[1] + 1)
        counted = (places >= batch["span"][:, :1]) & (places <= batch["span"][:, 1:])
        with self._given(model, hp):
            logits = adapters.called(model, inputs)
        return train_core.token_mean(train_core.cross_entropy(logits, targets), counted)

    def count_tokens(self, weight: float, **static: Any) -> float:
        """Those that count in the loss, as mlx-lm counts them."""
        return weight

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        loss = self.loss(model, batch, hp)
        return {"loss": loss, "perplexity": train_core.Exponential(*loss)}

    def samples(self, model: Any, hp: Any, most: int | None) -> list[tuple[str, str]]:
        """The prompts of the configuration's `samples`, and what the model answers."""
        asked = settings.asked(hp.config, self.folder, self.recorded)
        with self._given(model, hp):
            return measuring.answered(model, hp, self.folder, asked.prompts[:most], asked.max_tokens)

    def measure(self, model: Any, hp: Any, part: str, most: int | None) -> dict[str, float]:
        """Metrics of the texts that a model generates, or that lm-evaluation-harness has."""
        if hp.generation_metrics is None:
            return {}
        with self._given(model, hp):
            return measuring.measured(model, hp, self.folder, part, most)

    def export(self, weights: Mapping[str, Any], hyperparameters: Mapping[str, Any], out: Any) -> list[str]:
        """Write what a trial learned as mlx-lm does; gives the commands that use it."""
        filled = self.filled(hyperparameters)
        keys = settings.lora_keys(filled["config"], self.folder, self.recorded)
        return export.write(weights, filled, keys, self.folder, out)

    def _given(self, model: Any, hp: Any) -> Any:
        if hp.fine_tune_type == "full":
            return nullcontext()
        rate = hp.dropout  # read in any case: `check` refuses what no task reads
        dropout = rate if hp.drops_out else None
        scale = adapters.scale_of(hp.scale, hp.alpha, hp.rank, rslora=hp.rslora)
        return adapters.given(model, rank=hp.rank, scale=scale, dropout=dropout, num_layers=hp.num_layers)
