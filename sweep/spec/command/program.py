"""Which file a command runs, and whether it can be run on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import Problem
from sweep.spec.command.template import Arguments, flat, placeholders

if TYPE_CHECKING:  # workers read no study file: to import its schema takes a sixth of a second
    from configfile.yamlfile import Path as KeyPath
    from sweep.spec.schema import StudySpec

SCRIPTS = (".py", ".sh", ".R", ".jl", ".lua", ".pl", ".rb", ".js")
"""Files that an interpreter is given."""


def located(arguments: Arguments, folder: Path) -> Arguments:
    """The command with the program's file by its full path; it may run in any folder."""
    program = program_of(arguments, folder)
    if program is None:
        return arguments
    done = False

    def of(text: str) -> str:
        nonlocal done
        if done or text != program:
            return text
        done = True
        return str(folder / program)

    return tuple(of(each) if isinstance(each, str) else tuple(map(of, each)) for each in arguments)


def program_of(arguments: Arguments, folder: Path) -> str | None:
    """The program's own file: the first argument that names one in the study's folder."""
    for text in flat(arguments):
        is_name = not placeholders(text) and not os.path.isabs(text) and text.strip(".") != ""
        if is_name and (folder / text).is_file():
            return text
    return None


def search_path(environment: Mapping[str, str | None]) -> str:
    """Where a command is looked for: beside the Python that runs this first."""
    given = environment.get("PATH")
    return given or os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def problems(spec: StudySpec) -> Iterator[Problem]:
    """Why the command cannot be run here; nothing where it can."""
    if spec.command is None:
        return
    folder = spec.folder.resolve()
    place = folder if spec.working_directory is None else folder / spec.working_directory
    if not place.is_dir():
        what = f"there is no folder {place}"
        yield spec.document.problem(("working_directory",), what, "", "make it, or give another one")
        return
    first, *rest = flat(located(spec.command, folder))
    yield from _first(spec, first, place)
    script = rest[0] if rest else ""
    if script.endswith(SCRIPTS) and not placeholders(script) and not (place / script).is_file():
        what = f"there is no file {folder / script}"
        yield spec.document.problem(("command", 1), what, "", "give its path from the study file's folder")


def _first(spec: StudySpec, first: str, place: Path) -> Iterator[Problem]:
    path: KeyPath = ("command",) if isinstance(spec.document.at(("command",)), str) else ("command", 0)
    if placeholders(first):
        return
    if os.sep not in first:
        if shutil.which(first, path=search_path(spec.environment)) is None:
            what = f"the command {first} is not found"
            yield spec.document.problem(path, what, "", "install it, or give the path of its file")
        return
    file = place / first
    if not file.is_file():
        yield spec.document.problem(path, f"there is no file {file}", "", "give its full path")
    elif not os.access(file, os.X_OK):
        remedy = f"type chmod +x {file}, or name its interpreter before it"
        yield spec.document.problem(path, f"{file} is not executable", "", remedy)
