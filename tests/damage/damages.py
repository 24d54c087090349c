"""A seed's damage: a file cut off, a bit of it turned, a range zeroed, two places or files swapped."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

LONGEST = 4096
"""Bytes of a damaged range: a page of a disk."""


@dataclass(frozen=True)
class Damage:
    """What was done to a run directory; `other` is the second file of a swap."""

    kind: str
    path: str
    at: int = 0
    length: int = 0
    other: str | None = None


def files_of(run_dir: Path) -> list[Path]:
    """Every file of a run directory, in one order."""
    return sorted(path for path in run_dir.rglob("*") if path.is_file())


def damage(run_dir: Path, seed: int) -> Damage:
    """Damage one file, or swap two; what was done."""
    chance = random.Random(seed)
    files = [path for path in files_of(run_dir) if path.stat().st_size]
    path = chance.choice(files)
    name = path.relative_to(run_dir).as_posix()
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    kind = chance.choice(("truncate", "flip", "zero", "swap", "exchange"))
    length = min(chance.choice((1, 16, 512, LONGEST)), len(data) - at)
    match kind:
        case "truncate":
            del data[at:]
        case "flip":
            data[at] ^= 1 << chance.randrange(8)
        case "zero":
            data[at : at + length] = bytes(length)
        case "swap":
            length = min(length, len(data) // 2)
            one = chance.randrange(len(data) - 2 * length + 1)
            two = chance.randrange(one + length, len(data) - length + 1)
            one_bytes = data[one : one + length]
            data[one : one + length] = data[two : two + length]
            data[two : two + length] = one_bytes
            at = one
        case _:
            other = chance.choice(files)
            name_of_other = other.relative_to(run_dir).as_posix()
            path.write_bytes(other.read_bytes())
            other.write_bytes(bytes(data))
            return Damage(kind, name, other=name_of_other)
    path.write_bytes(bytes(data))
    return Damage(kind, name, at, length)
