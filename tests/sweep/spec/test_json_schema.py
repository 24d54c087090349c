"""The schema that editors check a study file by agrees with the reader, the copy with the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from configfile import yamlfile
from sweep.spec.json_schema import FILE, study_schema, study_schema_text
from sweep.spec.parse import parse
from sweep.spec.resolve import resolved
from tests.sweep.spec.written import studies

ROOT = Path(__file__).parents[3]
STUDIES = sorted((ROOT / "examples").glob("*/study*.yaml"))
VALIDATOR = Draft202012Validator(study_schema())
PAGE = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "study.md").read_text(), re.DOTALL)
RIGHT = """\
name: right
task: task.py:Task
objective: {metric: loss, direction: minimize}
space: {x: {low: 0.0, high: 1.0}}
trial: {micro_batch_size: 4, length: {epochs: 1}}
budget: {trials: 4}
"""


def wrong(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(yamlfile.parse(text, "study.yaml").value)]


def test_the_committed_schema_is_the_code_s() -> None:
    Draft202012Validator.check_schema(study_schema())
    text = (ROOT / "examples" / FILE).read_text()
    assert text == study_schema_text(), "run: python -m sweep schema > examples/study.schema.json"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_example_names_the_schema_and_keeps_it(path: Path) -> None:
    text = path.read_text()
    assert text.splitlines()[0] == f"# yaml-language-server: $schema=../{FILE}"
    assert wrong(text) == []


@pytest.mark.parametrize("text", PAGE, ids=lambda text: text.splitlines()[0])
def test_the_page_s_examples_keep_it(text: str) -> None:
    assert wrong(text) == []


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(studies())
def test_what_the_reader_takes_the_schema_takes(study: dict[str, Any]) -> None:
    assert list(VALIDATOR.iter_errors(study)) == []
    spec = parse(yamlfile.dump(study), "study.yaml")
    assert list(VALIDATOR.iter_errors(resolved(spec))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: right", "name: ../outside"),
        ("task.py:Task", "task.py"),
        ("direction: minimize", "direction: down"),
        ("high: 1.0}", "hihg: 1.0}"),
        ("trials: 4}", "trials: 0}"),
        ("budget:", "budgets:"),
        ("budget:", "sampler: {name: best}\nbudget:"),
        ("budget:", "checkpoints: {every: 60}\nbudget:"),
        ("budget:", "lanes: 0\nbudget:"),
        ("{metric: loss, direction: minimize}", "[]"),
    ],
)
def test_what_is_wrong_by_itself_is_wrong_in_an_editor_too(old: str, new: str) -> None:
    assert old in RIGHT
    assert wrong(RIGHT) == []
    assert wrong(RIGHT.replace(old, new))


def test_every_key_says_what_it_means() -> None:
    schema = study_schema()
    sections = {"": schema, **schema["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, entry in section.get("properties", {}).items()
        if name != "Interval" and not ({"description", "$ref"} & entry.keys())
    ]
    assert silent == []
