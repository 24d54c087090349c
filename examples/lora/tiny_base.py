"""Make a tiny Llama and data to try fine-tuning on, in seconds and without a network: `base/` and `data/`.

The text is Python's own help pages; the chats ask what a function of the standard library does. Put a
model and data of your own in their place.
"""

from __future__ import annotations

import inspect
import json
import math
import os.path
import random
import shutil
import string
import textwrap
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.models import llama
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

FOLDER = Path(__file__).parent
SPECIAL = ["<|begin|>", "<|end|>", "<|pad|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
UPDATES, BATCH, CONTEXT = 60, 4, 32
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": 512,
    "max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 1,
}


def chats() -> list[dict[str, Any]]:
    """Questions about functions, and the first line of their documentation."""
    found = []
    for module in (inspect, json, math, os.path, random, shutil, string, textwrap):
        for name, member in sorted(vars(module).items()):
            told = (inspect.getdoc(member) or "").partition("\n")[0]
            if callable(member) and not name.startswith("_") and 20 <= len(told) <= 120:
                asked = f"What does {module.__name__}.{name} do?"
                messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]
                found.append({"messages": messages})
    random.Random(0).shuffle(found)
    return found


def write_data(folder: Path, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    cut, end = len(rows) * 8 // 10, len(rows) * 9 // 10
    for part, some in (("train", rows[:cut]), ("valid", rows[cut:end]), ("test", rows[end:])):
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))


def write_tokenizer(folder: Path, texts: list[str]) -> Any:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=CONFIG["vocab_size"],
            special_tokens=SPECIAL,
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token=SPECIAL[0], eos_token=SPECIAL[1], pad_token=SPECIAL[2],
        additional_special_tokens=SPECIAL[3:],
    )  # fmt: skip
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


def trained(tokens: np.ndarray) -> llama.Model:
    """A model that has read some of the text."""
    mx.random.seed(0)
    model = llama.Model(llama.ModelArgs.from_dict(CONFIG))
    optimizer = optim.AdamW(learning_rate=optim.cosine_decay(4e-3, UPDATES))

    def loss(model: llama.Model, rows: mx.array) -> mx.array:
        value: mx.array = nn.losses.cross_entropy(model(rows[:, :-1]), rows[:, 1:], reduction="mean")
        return value

    step = nn.value_and_grad(model, loss)  # not compiled: on a CPU that takes longer than these few updates
    chance = np.random.default_rng(0)
    for _ in range(UPDATES):
        starts = chance.integers(0, len(tokens) - CONTEXT - 1, BATCH)
        value, gradients = step(model, mx.array(tokens[starts[:, None] + np.arange(CONTEXT + 1)]))
        optimizer.update(model, gradients)
        mx.eval(value, model.state, optimizer.state)
    print(f"{FOLDER / 'base'}: a tiny Llama, loss {value.item():.2f} after {UPDATES} updates")
    return model


def main() -> None:
    base = FOLDER / "base"
    base.mkdir(exist_ok=True)
    rows = chats()
    text = "\n".join(topics.values())[:100_000]
    told = [message["content"] for row in rows for message in row["messages"]]
    tokenizer = write_tokenizer(base, [text, *told])
    write_data(FOLDER / "data", rows)
    (base / "config.json").write_text(json.dumps(CONFIG, indent=1))
    model = trained(np.array(tokenizer.encode(text), np.int32))
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(base / "model.safetensors"), weights, metadata={"format": "mlx"})


if __name__ == "__main__":
    main()
