"""The page for those who come from other tools: its studies are right, its imports are what is written."""

from __future__ import annotations

import re
import runpy
from itertools import pairwise
from pathlib import Path

import optuna
import pytest

from sweep.api.importing.converting import import_file
from sweep.spec.parse import parse

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "coming-from.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
SOURCES = ROOT / "tests" / "data" / "other_tools"
YAML = [text for kind, text in BLOCKS if kind == "yaml"]
IMPORTED = [(one, two) for one, two in pairwise(YAML) if two.startswith("# From ")]


def test_the_page_shows_one_import_of_each_kind() -> None:
    assert len(IMPORTED) == 4


@pytest.mark.parametrize(("source", "study"), IMPORTED, ids=lambda text: text.splitlines()[0])
def test_a_file_and_its_study_stand_side_by_side(source: str, study: str, tmp_path: Path) -> None:
    first, _, text = source.partition("\n")
    name = first.removeprefix("# ")
    assert (SOURCES / name).read_text() == text
    assert import_file(SOURCES / name, into=tmp_path / "study.yaml").text == study


@pytest.mark.parametrize(
    "text", [text for text in YAML if "budget:" in text], ids=lambda text: text.splitlines()[0]
)
def test_each_study_of_the_page_is_one(text: str) -> None:
    assert parse(text, "study.yaml").command is not None


@pytest.mark.slow
@pytest.mark.usefixtures("described_here")
def test_both_forms_of_an_objective_run_and_find_the_same_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    theirs, ours = (text for kind, text in BLOCKS if kind == "python")
    assert ours.count("budget=20)") == 1
    (tmp_path / "ours.py").write_text(ours.replace("budget=20)", 'budget=3, executor="inline")'))
    found = runpy.run_path(str(tmp_path / "ours.py"), run_name="__main__")["summary"].trials
    (tmp_path / "theirs.py").write_text("import optuna\n" + theirs)
    study = optuna.create_study()
    for rate in found.params_lr:
        study.enqueue_trial({"lr": rate})
    study.optimize(runpy.run_path(str(tmp_path / "theirs.py"))["objective"], n_trials=3)
    assert [each.value for each in study.trials] == pytest.approx(found.value.tolist())
    assert found.state.tolist() == ["COMPLETE"] * 3
