"""What stands in the place of placeholders."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.spec.command import program, template
from sweep.vocabulary.trial import Scalar


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-7, "1e-07"), (0.1, "0.1"), (3, "3"), (True, "true"), ("a b", "a b"), (None, None)],
)
def test_values_are_written_so_that_they_are_read_as_the_same(value: Scalar, text: str | None) -> None:
    assert template.written(value) == text


def test_what_has_no_value_takes_its_argument_or_group_along() -> None:
    arguments = ("run", "--a={a}", "--b={b}", ("-c", "{b}"), ("-d", "{a}"), "{{x}}")
    assert template.filled(arguments, {"a": "1", "b": None}) == ["run", "--a=1", "-d", "1", "{x}"]


def test_an_argument_to_resume_from_is_given_where_what_it_names_is_there(tmp_path: Path) -> None:
    values = {"resume": str(tmp_path)}
    assert template.fill("--from={resume}/model.bin", values) is None
    (tmp_path / "model.bin").touch()
    assert template.fill("--from={resume}/model.bin", values) == f"--from={tmp_path}/model.bin"
    assert template.fill("{resume}", {"resume": None}) is None


def test_names_with_dots_are_nested_in_json() -> None:
    values = {"lora.rank": 8, "lora.scale": 2.0, "lr": 0.1, "a-b": 1}
    assert template.nested(values) == {"lora": {"rank": 8, "scale": 2.0}, "lr": 0.1, "a-b": 1}


def test_the_first_argument_that_is_a_file_of_the_study_is_the_program(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    (tmp_path / "data").touch()
    command = ("python", "train.py", ("--data", "data"), "train.py")
    assert program.program_of(command, tmp_path) == "train.py"
    found = program.located(command, tmp_path)
    assert found == ("python", str(tmp_path / "train.py"), ("--data", "data"), "train.py")
    assert program.program_of(("ls", "."), tmp_path) is None
