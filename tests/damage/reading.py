"""All that is read back from a run directory, and what is said of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

import analysis
from runlog import layout
from runlog.checkpoints import read_checkpoints
from runlog.integrity.written_files import read_files
from sweep.api.keeping.verify import verify
from sweep.errors import SweepError
from sweep.rundir.checkpoints import read_chunks
from sweep.search.journal_check import read_journal

TABLES = ("trials", "metrics", "ledger", "checkpoints", "events", "sessions")


@dataclass(frozen=True)
class Content:
    """What was read, by name, and what was said meanwhile; a name is missing where an error was said."""

    found: Mapping[str, Any]
    said: tuple[str, ...]

    def differs_from(self, sound: Content) -> list[str]:
        """What is not as in the sound directory."""
        return [name for name in sound.found if not _equal(self.found.get(name), sound.found[name])]


def read(run_dir: Path) -> Content:
    """Read everything. Raises what no reader should: errors that are not ours."""
    found: dict[str, Any] = {}
    said: list[str] = []

    def enter(name: str, reading: Callable[[], Any]) -> None:
        try:
            found[name] = reading()
        except (analysis.RunError, SweepError) as error:
            said.append(str(error))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        enter("run", lambda: analysis.load(run_dir))
        run = found.pop("run", None)
        if run is not None:
            for name in TABLES:
                enter(name, partial(_table, run, name))
            enter("study", lambda: run.study_file.text)
            enter("provenance", lambda: run.provenance)
        enter("stored", lambda: _checkpoints(run_dir))
        enter("journal", lambda: _journal(run_dir))
    foreign = [each for each in caught if not issubclass(each.category, analysis.RunWarning)]
    assert not foreign, foreign[0]
    return Content(found, (*said, *(str(each.message) for each in caught)))


def is_said_sound(run_dir: Path) -> bool:
    """What `sweep verify` says of the directory as a whole."""
    try:
        return verify(run_dir).sound
    except SweepError:
        return False


def _table(run: analysis.Run, name: str) -> pd.DataFrame:
    table: pd.DataFrame = getattr(run, name)
    if name == "checkpoints":  # whose paths are absolute
        table = table.assign(path=[str(Path(path).relative_to(run.path.resolve())) for path in table["path"]])
    return table


def _checkpoints(run_dir: Path) -> dict[str, bytes]:
    kept = read_checkpoints(run_dir, on_damage=lambda _: None)
    return {each.snapshot.path: b"".join(read_chunks(run_dir, each.snapshot)) for each in kept}


def _journal(run_dir: Path) -> list[tuple[Any, ...]]:
    path = run_dir / layout.JOURNAL
    trials = read_journal(path).trials
    if not read_files(run_dir).vouch_for_head(path):
        raise SweepError(f"{path} is not what the log recorded")
    return [(each.number, each.state, each.params, each.values, each.intermediate_values) for each in trials]


def _equal(one: Any, two: Any) -> bool:
    if isinstance(two, pd.DataFrame):
        return isinstance(one, pd.DataFrame) and one.equals(two)
    return type(one) is type(two) and bool(one == two)
