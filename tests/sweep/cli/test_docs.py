"""The reference of the study file says what the schema says, and its examples are right."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from configfile import yamlfile
from sweep.search import samplers, terminators
from sweep.search.pruning import pruners
from sweep.spec.edited.differences import LOCKED
from sweep.spec.parse import parse
from sweep.spec.schema import PRUNERS, SAMPLERS, Stop, StudySpec, Trial
from tests.analysis.conftest import environment

PAGE = Path(__file__).parents[3] / "docs" / "study.md"
TEXT = PAGE.read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_each_example_of_the_page_is_a_right_study(example: str) -> None:
    spec = parse(example, "study.yaml")
    assert samplers.problems(spec) == pruners.problems(spec) == terminators.problems(spec) == []


def test_the_page_names_all_there_is() -> None:
    keys = [*StudySpec.model_fields, *SAMPLERS, *PRUNERS, *terminators.REGISTRY.entries, *LOCKED]
    keys += [field.alias or name for section in (Trial, Stop) for name, field in section.model_fields.items()]
    missing = [key for key in keys if not re.search(rf"\b{key}\b", TEXT)]
    assert not missing


@pytest.mark.slow
def test_the_tables_of_keys_are_the_schema_s(tmp_path: Path) -> None:
    for name in ("study.md", "tables.py"):
        (tmp_path / name).write_text((PAGE.parent / name).read_text())
    subprocess.run([sys.executable, "tables.py"], cwd=tmp_path, env=environment(), check=True)
    assert (tmp_path / "study.md").read_text() == TEXT, "run: make docs"
    assert (
        len(re.findall("<!-- (?:keys of|hyperparameters)", TEXT))
        == len(re.findall("<!-- end -->", TEXT))
        >= 8
    )


def sources() -> str:
    """All text of messages, pieces of one string joined as Python joins them."""
    root = PAGE.parents[1]
    files = [path for folder in ("sweep", "train_core", "runlog") for path in (root / folder).rglob("*.py")]
    return re.sub(r'"\s+f?"', "", "".join(path.read_text() for path in files))


@pytest.mark.parametrize(
    "message", re.findall(r"^### `(.*)`$", PAGE.with_name("trouble.md").read_text(), re.MULTILINE)
)
def test_each_message_on_the_page_of_trouble_is_one_that_is_said(message: str) -> None:
    assert message in sources()


RECIPES = re.findall(r"```yaml\n(.*?)```", PAGE.with_name("recipes.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda text: text.splitlines()[0])
def test_each_recipe_stands_in_a_study_file(recipe: str) -> None:
    study = yamlfile.parse(EXAMPLES[0], "study.yaml").value
    given = yamlfile.parse(recipe, "recipe.yaml").value
    space = {**study["space"], **given.get("space", {})}
    spec = parse(yamlfile.dump({**study, **given, "space": space}), "study.yaml")
    assert samplers.problems(spec) == pruners.problems(spec) == []
