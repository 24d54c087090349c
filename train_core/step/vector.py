"""All parameters of a run as one vector and back, so that an optimizer is one kernel, not one a leaf; pure.

Only the order in memory differs: a checkpoint names every array. Lanes come first: a vector is (..., P), a
leaf (..., *shape).
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import mlx.core as mx

Flat = dict[str, mx.array]

ALIGNED = 128
"""Matrices begin at multiples of so many elements, 256 bytes in bfloat16: what CUDA's products assume."""


class Piece(NamedTuple):
    """Where one leaf lies, with its last two axes exchanged where it is `turned`.

    `gap` elements after it belong to no leaf and stay zero.
    """

    path: str
    shape: tuple[int, ...]
    turned: bool
    start: int
    size: int
    gap: int


@dataclass(frozen=True)
class Layout:
    """The places of all leaves: `paths` in the order of the model, `pieces` in that of the vector."""

    paths: tuple[str, ...]
    pieces: tuple[Piece, ...]

    @staticmethod
    def of(leaves: Mapping[str, mx.array], turned: Container[str] = ()) -> Layout:
        """Return a layout for such leaves: matrices first, then what no product reads, tightly.

        `turned` are those whose gradients come as the transposed of a row-major matrix, a linear layer's:
        held so, they are joined without a copy to turn them first.
        """
        order = sorted(leaves, key=lambda path: leaves[path].ndim < 2)
        pieces: list[Piece] = []
        start = 0
        for path in order:
            leaf = leaves[path]
            tight = leaf.ndim < 2 and path != order[-1]  # the end too: every lane's row begins aligned
            gap = 0 if tight else -(start + leaf.size) % ALIGNED
            pieces.append(Piece(path, tuple(leaf.shape), path in turned, start, leaf.size, gap))
            start += leaf.size + gap
        return Layout(tuple(leaves), tuple(pieces))

    def join(self, leaves: Mapping[str, mx.array]) -> mx.array:
        """Return the leaves as one vector, in their own dtype."""
        lanes = _lanes(leaves[self.pieces[0].path], self.pieces[0].shape)
        parts: list[mx.array] = []
        for piece in self.pieces:
            leaf = leaves[piece.path]
            leaf = leaf.swapaxes(-1, -2) if piece.turned else leaf
            parts.append(leaf.reshape((*lanes, piece.size)))
            if piece.gap:
                parts.append(mx.zeros((*lanes, piece.gap), leaf.dtype))
        return mx.concatenate(parts, axis=-1)

    def split(self, vector: mx.array) -> Flat:
        """Return the leaves by path: views, nothing is copied."""
        lanes = vector.shape[:-1]
        found = {}
        for piece in self.pieces:
            part = vector[..., piece.start : piece.start + piece.size]
            *rest, rows, columns = (1, 1, *piece.shape)  # a number has neither
            if piece.turned:
                found[piece.path] = part.reshape((*lanes, *rest[2:], columns, rows)).swapaxes(-1, -2)
            else:
                found[piece.path] = part.reshape((*lanes, *piece.shape))
        return {path: found[path] for path in self.paths}

    def mask(self, paths: Container[str]) -> mx.array:
        """Return which numbers of the vector belong to these leaves."""
        parts = [mx.full((piece.size + piece.gap,), piece.path in paths) for piece in self.pieces]
        return mx.concatenate(parts)

    @property
    def size(self) -> int:
        """Numbers in all leaves, gaps not counted."""
        return sum(math.prod(piece.shape) for piece in self.pieces)


def _lanes(leaf: mx.array, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(leaf.shape[: leaf.ndim - len(shape)])
