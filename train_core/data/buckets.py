"""Examples of like length in one batch, each batch as wide as its longest example needs.

A bucket is a width; there are few, since each is a trace of its own. All of it is on the host and pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train_core.data.sources import Array, Indices

MOST = 8
"""So many widths at most: with more, those are kept that pad least."""

Widths = tuple[int, ...]


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
        lengths = lengths.astype(np.int64)  # what is rounded up need not fit the type of what it came from
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
    total = np.concatenate([[0], np.cumsum(counts)])
    # How wide all examples up to each width are together, that width being the widest; and the widths for it.
    costs = total[1:] * np.array(widths)
    chosen: list[Widths] = [(width,) for width in widths]
    for _ in range(min(MOST, len(widths)) - 1):
        costs, chosen = _with_one_more(widths, total, costs, chosen)
    return chosen[-1]


def _with_one_more(
    widths: list[int], total: npt.NDArray[np.int64], costs: npt.NDArray[np.int64], chosen: list[Widths]
) -> tuple[npt.NDArray[np.int64], list[Widths]]:
    """The same with one more width below the widest, where that pads less; of equals the first in order."""
    fewer, more = costs.copy(), list(chosen)
    for n, width in enumerate(widths[1:], 1):
        found = costs[:n] + (total[n + 1] - total[1 : n + 1]) * width
        fewer[n] = min(costs[n], found.min())
        equal = [(*chosen[m], width) for m in np.flatnonzero(found == fewer[n])]
        more[n] = min([*equal, *([chosen[n]] if costs[n] == fewer[n] else [])])
    return fewer, more
