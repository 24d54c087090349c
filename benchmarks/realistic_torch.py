# mypy: disable-error-code="misc, name-defined"
"""The models of `benchmarks/realistic.py` in PyTorch, one run, compiled; None where PyTorch is not there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.realistic_loops import CLIP, DECAY, RATE, pytorch, seconds


def torch_seconds(name: str, task: Any, steps: int, rounds: int) -> float | None:
    """Return a step's time in PyTorch, compiled to CUDA graphs, in bfloat16; None without CUDA."""
    torch = pytorch()
    if torch is None:
        return None
    torch.set_float32_matmul_precision("high")
    random = np.random.default_rng(0)
    model, batch = (_resnet if "resnet" in name else _gpt)(torch, name, task, random)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=DECAY, fused=True)

    def loss(x: Any, y: Any) -> Any:
        with torch.autocast("cuda", torch.bfloat16):
            logits = model(x)
        return torch.nn.functional.cross_entropy(logits.float().flatten(0, -2), y.flatten())

    compiled = torch.compile(loss, mode="reduce-overhead")

    def step() -> Callable[[], None]:
        torch.compiler.cudagraph_mark_step_begin()
        compiled(*batch).backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return lambda: torch.cuda.synchronize()

    for _ in range(5):
        step()
    return seconds(step, steps, rounds)


def _gpt(torch: Any, name: str, task: Any, random: np.random.Generator) -> tuple[Any, Any]:
    nn = torch.nn

    class Adapted(nn.Module):
        def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
            super().__init__()
            self.base = nn.Linear(inputs, outputs, bias=bias)
            self.lora_a = nn.Parameter(torch.randn(inputs, 8) / math.sqrt(inputs))
            self.lora_b = nn.Parameter(torch.zeros(8, outputs))

        def forward(self, x: Any) -> Any:
            return self.base(x) + 2.0 * ((x @ self.lora_a) @ self.lora_b)

    linear: Any = Adapted if name.startswith("lora") else nn.Linear

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = task.width
            self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
            self.q, self.k, self.v, self.out = (linear(width, width, bias=False) for _ in range(4))
            self.up, self.down = (
                nn.Linear(width, 4 * width, bias=False),
                nn.Linear(4 * width, width, bias=False),
            )

        def forward(self, x: Any) -> Any:
            b, t, d = x.shape
            h = self.before(x)
            q, k, v = (f(h).view(b, t, task.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
            return x + self.down(nn.functional.gelu(self.up(self.between(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(task.vocabulary, task.width)
            self.places = nn.Embedding(task.context, task.width)
            self.blocks = nn.ModuleList(Block() for _ in range(task.depth))
            self.norm, self.head = (
                nn.LayerNorm(task.width),
                nn.Linear(task.width, task.vocabulary, bias=False),
            )

        def forward(self, x: Any) -> Any:
            h = self.tokens(x) + self.places.weight
            for block in self.blocks:
                h = block(h)
            return self.head(self.norm(h))

    model = GPT().cuda()
    if name.startswith("lora"):
        for path, parameter in model.named_parameters():
            parameter.requires_grad_("lora" in path)
        for path, parameter in model.named_parameters():
            if "lora" not in path and parameter.ndim > 1:
                parameter.data = parameter.data.to(torch.bfloat16)
    tokens = random.integers(0, task.vocabulary, (task.batch, task.context + 1))
    held = torch.tensor(tokens, device="cuda")
    return model, (held[:, :-1].contiguous(), held[:, 1:].contiguous())


def _resnet(torch: Any, name: str, task: Any, random: np.random.Generator) -> tuple[Any, Any]:
    nn = torch.nn

    def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> Any:
        layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        return nn.Sequential(layer, nn.BatchNorm2d(outputs))

    class Residual(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            stride = 2 if inputs != outputs else 1
            self.first, self.second = (
                convolution(inputs, outputs, 3, stride),
                convolution(outputs, outputs, 3),
            )
            self.short = convolution(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

        def forward(self, x: Any) -> Any:
            y = self.second(nn.functional.relu(self.first(x)))
            return nn.functional.relu(self.short(x) + y)

    sizes = [task.width * 2**stage for stage in range(3) for _ in range(task.depth)]
    blocks = [Residual(i, o) for i, o in zip([task.width, *sizes[:-1]], sizes, strict=True)]
    model = nn.Sequential(
        convolution(3, task.width, 3),
        nn.ReLU(),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(sizes[-1], 10),
    )
    model = model.cuda().to(memory_format=torch.channels_last)
    x = torch.tensor(random.normal(size=(task.batch, 3, 32, 32)), dtype=torch.float32, device="cuda")
    y = torch.tensor(random.integers(0, 10, task.batch), device="cuda")
    return model, (x.to(memory_format=torch.channels_last), y)
