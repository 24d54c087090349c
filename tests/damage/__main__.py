"""Damage a run directory many times; counts what stayed equal, what was said, and what was silent."""

from __future__ import annotations

import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
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
from tests.seeds import Tally, arguments, campaign

BATCH = 50
"""Damages that a process tries before it says how they went."""

WAYS = ("equal", "said", "silent", "unverified", "foreign")


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
    sound = _sound(sound_dir)
    with folder() as own, study_files_parsed_once():
        return Tally("damages", WAYS).try_all(
            lambda seed: attempt(sound_dir, sound, own / sound_dir.name, seed), range(start, stop)
        )


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
    told = arguments("tests.damage", __doc__, "damages")
    with folder() as root:
        return campaign(told, Tally("damages", WAYS), partial(try_seeds, source.make(root)), batch=BATCH)


if __name__ == "__main__":
    sys.exit(main())
