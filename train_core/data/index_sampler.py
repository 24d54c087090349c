"""The order in which a run sees its examples: one permutation an epoch, drawn on the host.

It is pure: the index at a position depends on the run's key and the number of examples only, so the
position alone resumes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import numpy as np

from train_core import keys
from train_core.data.buckets import Buckets
from train_core.data.sources import Indices


class IndexSampler:
    """The order in which one run sees `size` examples, epoch after epoch without a seam.

    With `buckets` its batches of `batch` examples hold like lengths.
    """

    def __init__(
        self, run_key: mx.array, size: int, buckets: Buckets | None = None, *, batch: int = 1
    ) -> None:
        self.key = keys.fold_in(run_key, keys.DATA)
        self.batch_key = keys.fold_in(run_key, keys.BATCHES)
        self.size = size
        self.buckets = buckets
        self.batch = batch
        self._permutations: dict[int, Indices] = {}

    def missing(self, position: int, count: int) -> list[int]:
        """Return the epochs that `take` needs and does not have."""
        return [epoch for epoch in self._epochs(position, count) if epoch not in self._permutations]

    def take(self, position: int, count: int) -> Indices:
        """Return `count` indices from `position` on; forgets epochs before it."""
        if self.missing(position, count):
            fill([(self, position, count)])
        epochs = self._epochs(position, count)
        self._permutations = {e: p for e, p in self._permutations.items() if e >= epochs.start}
        joined = [self._permutations[epoch] for epoch in epochs]
        start = position - epochs.start * self.size
        return (joined[0] if len(joined) == 1 else np.concatenate(joined))[start : start + count]

    def _epochs(self, position: int, count: int) -> range:
        return range(position // self.size, (position + count - 1) // self.size + 1)

    def put(self, epoch: int, permutation: Indices) -> None:
        self._permutations[epoch] = permutation


def fill(wanted: Sequence[tuple[IndexSampler, int, int]]) -> None:
    """Compute all permutations that several samplers of one dataset miss, in one call."""
    missing = [(s, epoch) for s, position, count in wanted for epoch in s.missing(position, count)]
    if not missing:
        return
    first, epochs = missing[0][0], [epoch for _, epoch in missing]
    rows: Sequence[Indices] = list(keys.permutations([s.key for s, _ in missing], epochs, first.size))
    if (buckets := first.buckets) is not None:
        orders = keys.permutations([s.batch_key for s, _ in missing], epochs, first.size // first.batch + 1)
        rows = [
            buckets.grouped(row, order, position=epoch * first.size, batch=first.batch)
            for row, order, epoch in zip(rows, orders, epochs, strict=True)
        ]
    for (sampler, epoch), row in zip(missing, rows, strict=True):
        sampler.put(epoch, row)
