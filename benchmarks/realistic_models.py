"""The tasks of `benchmarks/realistic.py`: sizes that people sweep, over generated data.

Each says how many floating-point operations one micro-batch takes, forward and backward. Tiny ones
try the script.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

import train_core
from train_core import Dataset, Mean, Task

Batch = dict[str, mx.array]


class Attention(nn.Module):
    """Causal self-attention; `linear` builds its four projections."""

    def __init__(self, width: int, heads: int, linear: Callable[..., nn.Module]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.heads = heads
        self.q, self.k, self.v, self.out = (linear(width, width, bias=False) for _ in range(4))

    def __call__(self, x: mx.array) -> mx.array:
        b, t, d = x.shape
        q, k, v = (
            project(x).reshape(b, t, self.heads, -1).transpose(0, 2, 1, 3)
            for project in (self.q, self.k, self.v)
        )
        y = mx.fast.scaled_dot_product_attention(q, k, v, scale=(d // self.heads) ** -0.5, mask="causal")
        mixed: mx.array = self.out(y.transpose(0, 2, 1, 3).reshape(b, t, d))
        return mixed


class Block(nn.Module):
    """Attention and a feed-forward layer, normalised before each."""

    def __init__(self, width: int, heads: int, linear: Callable[..., nn.Module]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, linear)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        x = x + self.attention(self.before(x))
        return x + self.down(nn.gelu_approx(self.up(self.between(x))))


class GPT(nn.Module):
    """A decoder with learned places."""

    def __init__(
        self,
        vocabulary: int,
        context: int,
        width: int,
        depth: int,
        heads: int,
        linear: Callable[..., nn.Module] = nn.Linear,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = [Block(width, heads, linear) for _ in range(depth)]
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        x = self.tokens(x) + self.places(mx.arange(x.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits: mx.array = self.out(self.norm(x))
        return logits


class Adapted(nn.Module):
    """A linear layer with a trained low-rank one beside it."""

    rank, scale = 8, 2.0

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.base = nn.Linear(inputs, outputs, bias=bias)
        self.lora_a = mx.random.normal((inputs, self.rank)) / math.sqrt(inputs)
        self.lora_b = mx.zeros((self.rank, outputs))

    def __call__(self, x: mx.array) -> mx.array:
        found: mx.array = self.base(x) + self.scale * ((x @ self.lora_a) @ self.lora_b)
        return found


class NextToken(Task):
    """Next tokens of random walks over the vocabulary."""

    batch: ClassVar[int] = 16
    sizes: ClassVar[tuple[int, int]] = (2048, 256)
    vocabulary: ClassVar[int] = 65
    context: ClassVar[int] = 256
    width: ClassVar[int] = 384
    depth: ClassVar[int] = 6
    heads: ClassVar[int] = 6

    def data(self) -> Dataset:
        random = np.random.default_rng(0)
        steps = random.integers(-2, 3, (sum(self.sizes), self.context + 1))
        tokens = (np.cumsum(steps, axis=1) + random.integers(0, self.vocabulary, (sum(self.sizes), 1))) % (
            self.vocabulary
        )
        tokens, cut = tokens.astype(np.int32), self.sizes[0]
        parts = (tokens[:cut], tokens[cut:])
        train, validation = ({"x": part[:, :-1], "y": part[:, 1:]} for part in parts)
        return Dataset(train, validation)

    def model(self) -> nn.Module:
        return GPT(self.vocabulary, self.context, self.width, self.depth, self.heads)

    def loss(self, model: Any, batch: Batch, hp: Any) -> Mean:
        return Mean(train_core.cross_entropy(model(batch["x"]), batch["y"]).mean(axis=-1))

    def evaluate(self, model: Any, batch: Batch, hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}

    @classmethod
    def flops(cls) -> float:
        """Six for a weight and a token, and attention's products, the causal half not taken off."""
        return 6.0 * cls._weights() * cls._tokens() + cls._attention()

    @classmethod
    def _tokens(cls) -> int:
        return cls.batch * cls.context

    @classmethod
    def _weights(cls) -> int:
        return 12 * cls.depth * cls.width**2 + cls.vocabulary * cls.width

    @classmethod
    def _attention(cls) -> float:
        return 12.0 * cls.depth * cls.width * cls.context * cls._tokens()


class GPT10(NextToken):
    """6 layers of 384, 6 heads, over characters: 10.7M parameters."""


class GPT30(NextToken):
    """10 layers of 512, 8 heads: 31.7M parameters."""

    width, depth, heads = 512, 10, 8


class LoRA(NextToken):
    """Adapters of rank 8 on the attention of 12 frozen layers of 768 and 8,192 tokens: a base of 98M."""

    vocabulary, width, depth, heads, batch = 8192, 768, 12, 12, 8
    sizes = (1024, 64)

    def __init__(self) -> None:
        self.base: list[tuple[str, mx.array]] = []

    def model(self) -> nn.Module:
        made = GPT(self.vocabulary, self.context, self.width, self.depth, self.heads, Adapted)
        if not self.base:  # the same for every run, and so shared by all lanes
            random = np.random.default_rng(1)
            leaves: Any = tree_flatten(made.parameters())  # type: ignore[no-untyped-call]
            for path, leaf in leaves:
                if "lora" not in path:
                    drawn = random.normal(0, 1 / math.sqrt(leaf.shape[-1]), leaf.shape)
                    if leaf.ndim == 1:  # a norm's
                        drawn = np.full(leaf.shape, float(path.endswith("weight")))
                    self.base.append((path, mx.array(drawn.astype(np.float32))))
            mx.eval([leaf for _, leaf in self.base])
        made.update(tree_unflatten(self.base))
        made.freeze()
        parts: Any = made.modules()  # type: ignore[no-untyped-call]
        for part in parts:
            if isinstance(part, Adapted):
                part.unfreeze(keys=["lora_a", "lora_b"], recurse=False)
        return made

    @classmethod
    def flops(cls) -> float:
        """Four for a frozen weight and a token: no gradients of weights; adapters left out."""
        return 4.0 * cls._weights() * cls._tokens() + cls._attention()


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norms = [nn.BatchNorm(outputs), nn.BatchNorm(outputs)]
        if stride > 1 or inputs != outputs:
            self.short = [nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm(outputs)]

    def __call__(self, x: mx.array) -> mx.array:
        y = self.norms[1](self.second(nn.relu(self.norms[0](self.first(x)))))
        if "short" in self:
            x = self.short[1](self.short[0](x))
        added: mx.array = nn.relu(x + y)
        return added


class ResNet(nn.Module):
    """CIFAR's ResNet: three stages of `depth` blocks, `width` channels in the first."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.first, self.norm = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm(width)
        sizes = [width * 2**stage for stage in range(3) for _ in range(depth)]
        before = [width, *sizes[:-1]]
        self.blocks = [Residual(i, o, 2 if o != i else 1) for i, o in zip(before, sizes, strict=True)]
        self.out = nn.Linear(sizes[-1], 10)

    def __call__(self, x: mx.array) -> mx.array:
        x = nn.relu(self.norm(self.first(x)))
        for block in self.blocks:
            x = block(x)
        logits: mx.array = self.out(x.mean(axis=(1, 2)))
        return logits


class ResNet20(Task):
    """ResNet-20 of CIFAR, 0.27M parameters, on images of 32 x 32."""

    batch: ClassVar[int] = 128
    sizes: ClassVar[tuple[int, int]] = (4096, 512)
    width: ClassVar[int] = 16
    depth: ClassVar[int] = 3

    def data(self) -> Dataset:
        random = np.random.default_rng(0)

        def part(size: int) -> dict[str, Any]:
            y = random.integers(0, 10, size).astype(np.int32)
            x = random.normal(size=(size, 32, 32, 3)).astype(np.float32) + y[:, None, None, None] / 10
            return {"x": x, "y": y}

        return Dataset(part(self.sizes[0]), part(self.sizes[1]))

    def model(self) -> nn.Module:
        return ResNet(self.width, self.depth)

    def loss(self, model: Any, batch: Batch, hp: Any) -> Mean:
        return Mean(train_core.cross_entropy(model(batch["x"]), batch["y"]))

    def evaluate(self, model: Any, batch: Batch, hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}

    @classmethod
    def flops(cls) -> float:
        total, before = 2.0 * 32 * 32 * 27 * cls.width, cls.width
        for stage in range(3):
            channels, pixels = cls.width * 2**stage, (32 // 2**stage) ** 2
            for _ in range(cls.depth):
                total += 2.0 * pixels * 9 * (before * channels + channels**2)
                total += 2.0 * pixels * before * channels if before != channels else 0.0
                before = channels
        return 3.0 * total * cls.batch


class WideResNet20(ResNet20):
    """Four times as wide: 4.3M parameters."""

    width = 64


class TinyGPT(NextToken):
    """To try the script."""

    width, depth, heads, context, sizes, batch = 32, 2, 2, 16, (64, 16), 4


class TinyLoRA(LoRA):
    """To try the script."""

    vocabulary, width, depth, heads, context, sizes, batch = 64, 32, 2, 2, 16, (64, 16), 4


class TinyResNet(ResNet20):
    """To try the script."""

    width, depth, batch, sizes = 4, 1, 4, (16, 8)


CASES: dict[str, Any] = {
    "gpt-10m": GPT10,
    "gpt-30m": GPT30,
    "lora-100m": LoRA,
    "resnet-20": ResNet20,
    "resnet-20-wide": WideResNet20,
}
TINY: dict[str, Any] = {"gpt-tiny": TinyGPT, "lora-tiny": TinyLoRA, "resnet-tiny": TinyResNet}
