"""Programs for nodes as they are sent: whole, each part of them once, and nothing else of this project."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

from clusters import nodeside
from clusters.nodeside.parts.raycommand import ray_command

FOLDER = Path(nodeside.__file__).parent
FILES = [file.relative_to(FOLDER) for file in sorted(FOLDER.rglob("*.py")) if file.name != "__init__.py"]
PROGRAMS = [".".join(file.with_suffix("").parts) for file in FILES if file.parts[0] != "parts"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_stands_by_itself(name: str) -> None:
    tree = ast.parse(nodeside.program(name))
    imported = [each.module or "" for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
    imported += [
        alias.name for each in ast.walk(tree) if isinstance(each, ast.Import) for alias in each.names
    ]
    assert not [each for each in imported if each.partition(".")[0] in ("clusters", "configfile", "sweep")]
    defined = [each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.ClassDef)]
    assert len(defined) == len(set(defined)), "a part is in it twice, or two parts use one name"


def test_every_program_is_in_the_list_of_its_package() -> None:
    for name in PROGRAMS:
        *folders, module = name.split(".")
        documented = (FOLDER.joinpath(*folders) / "__init__.py").read_text().partition('"""\n')[0]
        assert module in documented, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("needed", "verb"), [((), ("start",)), (("ray.dashboard.modules.job.cli",), ("job", "submit"))]
)
def test_rays_command_imports_no_more_than_its_verb_needs(
    needed: tuple[str, ...], verb: tuple[str, ...]
) -> None:
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    command = [*ray_command(*needed), *verb, "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"{' '.join(verb)} [OPTIONS]" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "ray.scripts" in imported
    assert not imported & {"ray.serve", "pandas", "fastapi"}


def test_ray_s_command_finds_its_dashboard_without_importing_it() -> None:
    *command, program = ray_command()
    imports, says = "import ray._private.utils as utils", "utils.get_dashboard_dependency_error()"
    look = f"{imports}; print({says}, 'aiohttp' in sys.modules)"
    program = "; ".join([*program.split("; ")[:-1], look])
    done = subprocess.run([*command, program], capture_output=True, text=True, check=True)
    assert done.stdout == "None False\n"
