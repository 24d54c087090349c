"""`.ci/setup` and the Makefile on a machine with other Pythons, and with macOS's tools."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

GNU = (
    *(r"sed -i ", r"sed -r\b", r"readlink -f", r"grep -P", r"\bnproc\b", r"\btimeout \d", r"xargs -r"),
    *(r"cp --", r"mktemp --", r"date -d", r"stat -c", r"find [^|\n]*-printf", r"head -n -", r"\btac\b"),
)
PYTHON = """\
#!/bin/sh
case "$2" in
*platform*) echo {version} ;;
*sys.exit*) exit {code} ;;
*) echo "{version} $*" >> "$ASKED"; [ "$2" != venv ] || {{ mkdir -p .venv/bin; cp "$0" .venv/bin/python; }} ;;
esac
"""
UV = """\
#!/bin/sh
echo "uv $*" >> "$ASKED"
"""


def setup(folder: Path, *versions: str, uv: bool = False) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run it where only these Pythons are; what it printed, and what it asked of them and of uv."""
    tools, project = folder / "bin", folder / "project"
    tools.mkdir()
    project.mkdir()
    for name in ("sh", "mkdir", "cp"):
        found = shutil.which(name)
        assert found, name
        (tools / name).symlink_to(found)
    for version in versions:
        minor = int(version.split(".")[1])
        program = PYTHON.format(version=version, code=int(not 11 <= minor <= 14))
        for name in (f"python3.{minor}", "python3"):
            if not (tools / name).exists():
                (tools / name).write_text(program)
                (tools / name).chmod(0o755)
    if uv:
        (tools / "uv").write_text(UV)
        (tools / "uv").chmod(0o755)
    asked = folder / "asked"
    asked.touch()
    done = subprocess.run(
        ["/bin/sh", str(ROOT / ".ci" / "setup")],
        cwd=project,
        env={"PATH": str(tools), "ASKED": str(asked)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, asked.read_text()


@pytest.mark.parametrize("version", ["3.11.4", "3.12.9", "3.13.5", "3.14.0"])
def test_a_python_that_fits_makes_the_environment(tmp_path: Path, version: str) -> None:
    done, asked = setup(tmp_path, "3.10.2", version)
    assert done.returncode == 0, done.stderr
    assert asked.splitlines()[0] == f"{version} -m venv --clear .venv"
    assert (
        f"{version} -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes" in asked
    )


@pytest.mark.parametrize("version", ["3.15.0", "3.10.14"])
def test_a_python_that_does_not_is_named_with_what_to_do(tmp_path: Path, version: str) -> None:
    done, asked = setup(tmp_path, version)
    assert done.returncode != 0
    assert f"Python 3.11 to 3.14 is needed; found only: {version} (" in done.stderr
    assert "brew install python@3.13" in done.stderr
    assert asked == ""


def test_no_python_at_all(tmp_path: Path) -> None:
    done, _ = setup(tmp_path)
    assert done.returncode != 0
    assert done.stderr.startswith("Python 3.11 to 3.14 is needed; found none.\n")


@pytest.mark.parametrize("versions", [(), ("3.15.0",), ("3.10.2",)])
def test_where_no_other_is_there_uv_brings_its_own(tmp_path: Path, versions: tuple[str, ...]) -> None:
    done, asked = setup(tmp_path, *versions, uv=True)
    assert done.returncode == 0, done.stderr
    assert asked.splitlines()[0] == "uv venv --quiet --clear --python >=3.11,<3.15 .venv"


def test_a_python_that_fits_is_given_to_uv(tmp_path: Path) -> None:
    _, asked = setup(tmp_path, "3.14.0", uv=True)
    assert asked.splitlines()[0] == f"uv venv --quiet --clear --python {tmp_path}/bin/python3.14 .venv"


def test_the_makefile_has_nothing_that_make_3_81_lacks() -> None:
    text = (ROOT / "Makefile").read_text()
    for later in (
        r"!=",
        r"::=",
        r"^\.ONESHELL",
        r"^undefine",
        r"&:",
        r"\$\(file ",
        r"\$\(let ",
        r"^\.RECIPEPREFIX",
    ):
        assert not re.search(later, text, re.MULTILINE), later


@pytest.mark.parametrize("name", ["Makefile", ".ci/setup", ".ci/run", ".ci/system"])
def test_no_flag_that_only_gnu_s_tools_have(name: str) -> None:
    text = (ROOT / name).read_text()
    for gnu in GNU:
        assert not re.search(gnu, text), gnu
