"""Which names of studies may stand beside each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.errors import RunDirError
from sweep.rundir.rundir import RunDir


def test_names_that_differ_only_by_case_are_one_study(tmp_path: Path) -> None:
    RunDir.open(tmp_path, "Digits").close("done")
    with pytest.raises(RunDirError, match=r"only by case are one study.* Write name: Digits to resume it"):
        RunDir.open(tmp_path, "digits")
    RunDir.open(tmp_path, "Digits").close("done")
    RunDir.open(tmp_path, "digits2").close("done")
