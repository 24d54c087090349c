"""How much memory fine-tuning by adapters takes: a formula of a model's shape, whose terms were measured.

`python -m lm.memory` prints the table of docs/language-models.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VECTORS = 6
"""Float32 numbers of a lane for each one of its adapters: itself, two moments, a sum, and two in a step."""

LOGITS = 4
"""Float32 copies of the logits at the end of a forward pass and the beginning of the backward one."""

SCORES = 5
"""Float32 copies of one layer's attention scores in its backward pass."""

SHARE = 0.6
"""The part of a machine's memory that a study takes: the rest is the system's (`worker.memory`)."""


class Shape(NamedTuple):
    """A model as its config.json has it; `keys` is how wide keys are, all heads together."""

    parameters: float
    layers: int
    hidden: int
    inner: int
    heads: int
    keys: int
    vocabulary: int

    def base_bytes(self, bits: int) -> float:
        """The weights; with fewer than 16 bits a scale and a bias of 16 for each 64 of them."""
        return self.parameters * (bits + (0.5 if bits < 16 else 0)) / 8

    def adapters(self, rank: int) -> int:
        """Numbers in the adapters of all linear layers."""
        attention = 2 * (self.hidden + self.hidden) + 2 * (self.hidden + self.keys)
        return self.layers * rank * (attention + 3 * (self.hidden + self.inner))

    def lane_bytes(
        self, rank: int, batch: int, length: int, *, checkpointed: bool = False, number_bytes: int = 2
    ) -> float:
        """What each lane takes at its peak; `length` is how many tokens its longest example has.

        Of layers that are `checkpointed` only the input is kept, and all of one at a time.
        """
        layer = 9 * self.hidden + 3 * self.keys + 5 * self.inner
        kept = self.layers * self.hidden + layer if checkpointed else self.layers * layer
        ends = 4 * (SCORES * self.heads * length + LOGITS * self.vocabulary)
        return VECTORS * 4 * self.adapters(rank) + batch * length * (kept * number_bytes + ends)


SHAPES = {
    "1B": Shape(1.24e9, 16, 2048, 8192, 32, 512, 128256),
    "3B": Shape(3.21e9, 28, 3072, 8192, 24, 1024, 128256),
    "8B": Shape(8.03e9, 32, 4096, 14336, 32, 1024, 128256),
}
"""Llamas 3.1 and 3.2."""

MACHINES = (16, 32, 64)
"""Gigabytes."""

CASES = ((8, 512, False), (64, 512, False), (8, 2048, True), (64, 2048, True))
"""Rank, tokens of an example, `grad_checkpoint`."""


def rows() -> Iterator[str]:
    """The table: what a base and each lane of one example a step take, and how many lanes a machine holds."""
    for name, shape in SHAPES.items():
        for bits in (16, 4):
            for rank, length, checkpointed in CASES:
                lane = shape.lane_bytes(rank, 1, length, checkpointed=checkpointed) / 1e9
                base = shape.base_bytes(bits) / 1e9
                fitting = (max(0, int((SHARE * machine - base) / lane)) for machine in MACHINES)
                lanes = " | ".join(str(n) if n else "none" for n in fitting)
                tokens = f"{length}{', checkpointed' if checkpointed else ''}"
                yield f"| {name}, {bits} bits | {rank} | {tokens} | {base:.1f} | {lane:.1f} | {lanes} |"


if __name__ == "__main__":
    print("\n".join(rows()))
