"""Damage a run directory many times; counts what stayed equal, what was said, and what was silent."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from ruamel.yaml import YAML

from analysis import studyfile
from sweep.api.keeping import verify
from sweep.rundir import soundness
from sweep.spec.parse import parse
from tests.damage import damages, reading, source
from tests.damage.reading import Content

BATCH = 50
"""Damages that a process tries before it says how they went."""

SHOWN = 10


@dataclass
class Tally:
    """How damages went; `wrong` says what was neither equal nor said, or ended otherwise, by seed."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: dict[int, str] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Enter another's counts."""
        self.counts += other.counts
        self.wrong |= other.wrong

    def __str__(self) -> str:
        names = ("equal", "said", "silent", "unverified", "foreign")
        parts = ", ".join(f"{self.counts[name]} {name}" for name in names)
        return f"{sum(self.counts.values())} damages: {parts}"


def attempt(sound_dir: Path, sound: Content, run_dir: Path, seed: int) -> tuple[str, str]:
    """Damage a copy; how it went, and what there is to say of it."""
    shutil.copytree(sound_dir, run_dir)
    try:
        done = damages.damage(run_dir, seed)
        try:
            found = reading.read(run_dir)
            differing = found.differs_from(sound)
            if not found.said and not differing:
                return "equal", ""
            if not found.said:
                return "silent", f"{done}: {', '.join(differing)}"
            if reading.is_said_sound(run_dir):
                return "unverified", f"{done}: {found.said[0]}"
            return "said", ""
        except Exception:
            return "foreign", f"{done}: {traceback.format_exc(limit=-4)}"
    finally:
        shutil.rmtree(run_dir)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for run directories, in memory where there is such a place."""
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=fast if fast.is_dir() else None, prefix="damage-") as path:
        yield Path(path)


def try_seeds(sound_dir: Path, start: int, stop: int) -> Tally:
    """Try the damages of some seeds."""
    tally, sound = Tally(), _sound(sound_dir)
    with folder() as own, study_files_parsed_once():
        for seed in range(start, stop):
            how, text = attempt(sound_dir, sound, own / sound_dir.name, seed)
            tally.counts[how] += 1
            if text:
                tally.wrong[seed] = f"{how}: {text}"
    return tally


@contextmanager
def study_files_parsed_once() -> Iterator[None]:
    """Parsing YAML takes half of the time of a damage, and gives the same for the same text."""

    with (
        mock.patch.object(soundness, "parse", _parsed),
        mock.patch.object(verify, "parse", _parsed),
        mock.patch.object(studyfile, "YAML", return_value=SimpleNamespace(load=_loaded)),
    ):
        yield


_parsed = lru_cache(8)(parse)


@lru_cache(8)
def _loaded(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


@lru_cache(1)
def _sound(sound_dir: Path) -> Content:
    content = reading.read(sound_dir)
    assert not content.said, content.said
    return content


def main() -> int:
    """Exit 1 where a damage was silent or ended in a foreign error."""
    parser = argparse.ArgumentParser(prog="python -m tests.damage", description=__doc__)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first of as many seeds")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    began, tally = time.monotonic(), Tally()
    with folder() as root, ProcessPoolExecutor(options.workers) as pool:
        sound_dir = source.make(root)
        stop = options.seed + options.damages
        starts = range(options.seed, stop, BATCH)
        stops = [min(start + BATCH, stop) for start in starts]
        for batch in pool.map(try_seeds, [sound_dir] * len(starts), starts, stops):
            tally.add(batch)
            print(f"{tally} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    for seed, text in list(tally.wrong.items())[:SHOWN]:
        print(f"seed {seed}: {text}", file=sys.stderr)
    print(f"{tally} in {time.monotonic() - began:.0f} s")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
