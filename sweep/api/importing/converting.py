"""`sweep import`: another tool's file becomes a study file, with what it could not say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configfile import yamlfile
from configfile.problems import ConfigError
from sweep.api.importing import kinds
from sweep.api.importing.drafts import Draft, ImportFault
from sweep.errors import SpecError, SweepError
from sweep.rundir.disk import disk_errors
from sweep.spec.parse import parse


@dataclass(frozen=True)
class Imported:
    """The study file's text, what kind of file it is from, and what it does not say as that did."""

    path: Path
    text: str
    kind: str
    unsaid: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"path": str(self.path), "kind": self.kind, "unsaid": list(self.unsaid)}


def import_file(
    source: str | Path, *, into: str | Path | None = None, program: str | None = None
) -> Imported:
    """Write the study of a file of W&B, Hydra, Determined or Ray Tune; nothing is overwritten.

    `into` is the study file, else STEM.study.yaml beside the source; `program` is the script to run where
    the source names none. Raises SweepError.
    """
    source = Path(source)
    path = Path(into) if into is not None else source.with_name(f"{source.stem}.study.yaml")
    draft = _read(source, program)
    text = draft.text(source.name)
    try:
        parse(text, str(path))
    except SpecError as error:
        first = error.problems[0]
        raise SweepError(
            f"{source}: {first.key}: {first.what}. Change it there, and import it again"
        ) from error
    if path.exists():
        raise SweepError(
            f"{path}: already exists and is not overwritten. Choose another file with --into FILE"
        )
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Imported(path, text, draft.kind, tuple(draft.unsaid))


def _read(source: Path, program: str | None) -> Draft:
    try:
        values = yamlfile.parse(source.read_bytes(), str(source)).value
    except OSError as error:
        raise SweepError(f"{source}: cannot be read: {error.strerror}") from error
    except ConfigError as error:
        raise SpecError(error.problems) from error
    kind = kinds.kind_of(values) if isinstance(values, dict) else None
    if kind is None:
        raise SweepError(
            f"{source}: is of no kind that is known here: a sweep of W&B has `parameters`, a config of "
            "a Hydra sweeper `hydra.sweeper`, an experiment of Determined `searcher`, one of Ray Tune "
            "`run`"
        )
    try:
        draft: Draft = kind.draft(values, name=_name(source.name), program=program)
    except ImportFault as fault:
        raise SweepError(f"{source}: {' '.join(str(fault).split())}") from fault
    draft.values["name"] = _name(str(draft.values["name"]))
    return draft


def _name(text: str) -> str:
    """A study's name made of a file's or a title."""
    stem = text.removesuffix(".yaml").removesuffix(".yml")
    return re.sub(r"[^A-Za-z0-9_.]+", "-", stem).strip("-.")[:100] or "study"
