"""Examples of like length in one batch, each batch as wide as its longest example needs.

A bucket is a width; there are few, since each is a trace of its own. All of it is on the host and pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train_core.data.sources import Array, Indices

MOST = 8
"""So many widths at most: with more, those are kept that pad least."""

Choice = tuple[int, tuple[int, ...]]
"""How wide all examples are together, and the widths that were chosen for it."""


@dataclass(frozen=True, eq=False)
class Buckets:
    """The `widths`, narrowest first, which of them each example `of` a part needs, and what is `padded`."""

    widths: tuple[int, ...]
    of: npt.NDArray[np.intp]
    padded: tuple[str, ...]

    @staticmethod
    def made(
        lengths: npt.NDArray[np.integer], padded: tuple[str, ...], *, pad_to: int, longest: int
    ) -> Buckets:
        """Widths in steps of `pad_to`, cut to `longest`, which is how wide the padded fields are."""
        needed = np.minimum(pad_to * -(-np.maximum(lengths, 1) // pad_to), longest)
        found, counts = np.unique(needed, return_counts=True)
        widths = _fewest_padded(found.tolist(), counts.tolist())
        return Buckets(widths, np.searchsorted(widths, needed), padded)

    def width(self, indices: Indices) -> int:
        """How wide a batch of these examples is."""
        return self.widths[int(self.of[indices].max())]

    def steps(self, order: Indices, taking_part: npt.NDArray[np.bool_]) -> list[int]:
        """How wide each step is: examples (S, L, B), lanes that take part (S, L)."""
        of = np.where(taking_part[:, :, None], self.of[order], 0)
        return [self.widths[widest] for widest in of.max(axis=(1, 2))]

    def cut(self, arrays: Mapping[str, Array], width: int) -> dict[str, Array]:
        """The examples (n, ...) with padded fields that wide."""
        return {name: each[:, :width] if name in self.padded else each for name, each in arrays.items()}

    def grouped(self, permutation: Indices, batch_order: Indices, *, position: int, batch: int) -> Indices:
        """An epoch's examples, batches of one bucket where that can be, whole batches in `batch_order`.

        `position` is where the epoch begins in the run. What fills up the last epoch's batch and what begins
        the next one's are any examples, so that no length is left out more often than others.
        """
        head = min(-position % batch, len(permutation))
        whole = (len(permutation) - head) // batch
        end = head + whole * batch
        middle = permutation[head:end]
        rows = middle[np.argsort(self.of[middle], kind="stable")].reshape(whole, batch)
        shuffled = rows[batch_order[batch_order < whole]].reshape(-1)
        return np.concatenate([permutation[:head], shuffled, permutation[end:]])

    @property
    def sorted(self) -> Indices:
        """All examples, shortest bucket first: the order of evaluation."""
        return np.argsort(self.of, kind="stable").astype(np.uint32)


def _fewest_padded(widths: list[int], counts: list[int]) -> tuple[int, ...]:
    """The at most MOST widths, the widest among them, for which all examples together are padded least."""
    total = np.concatenate([[0], np.cumsum(counts)]).tolist()
    best: list[tuple[int, tuple[int, ...]]] = [
        (total[n + 1] * width, (width,)) for n, width in enumerate(widths)
    ]
    for _ in range(min(MOST, len(widths)) - 1):
        best = [min([best[n], *_extended(best[:n], total, n, width)]) for n, width in enumerate(widths)]
    return best[-1][1]


def _extended(best: list[Choice], total: list[int], n: int, width: int) -> Iterator[Choice]:
    """What examples up to the n-th width cost with that width above each of the choices below it."""
    for m, (cost, chosen) in enumerate(best):
        yield cost + (total[n + 1] - total[m + 1]) * width, (*chosen, width)
