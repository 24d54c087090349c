"""What the YAML reader admits, and where it says the faults are."""

from __future__ import annotations

import pytest

from configfile.problems import ConfigError
from configfile.yamlfile import MAX_ENTRIES, key_text, parse


def test_every_key_and_item_knows_its_line() -> None:
    document = parse("a: 1\nb:\n  c: [1,\n    2]\n  d: {e: 3}\n", "x.yaml")
    paths = [("a",), ("b",), ("b", "c"), ("b", "c", 0), ("b", "c", 1), ("b", "d"), ("b", "d", "e")]
    assert [document.line(path) for path in paths] == [1, 2, 3, 3, 4, 5, 5]


def test_the_line_of_what_is_missing_is_that_of_what_is_around_it() -> None:
    document = parse("a: 1\nb:\n  c: 1\n", "x.yaml")
    assert document.line(("b", "x", "y")) == 2
    assert document.line(("z",)) == 1
    assert document.at(("b", "x", "y")) is None


def test_key_paths_as_text() -> None:
    assert key_text(("a", 1, "b")) == "a[1].b"
    assert key_text(()) is None


def test_a_version_line_changes_nothing() -> None:
    assert parse("%YAML 1.1\n---\na: on\n", "x.yaml").value == {"a": "on"}


BOMB = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\na: 2\n", 2, "stands on lines 1 and 2"),
        ("x:\n  a: 1\n  b: 1\n  a: 2\n", 4, "x.a: stands on lines 2 and 4"),
        ("a: 1\nb: [1\n", 3, "must be YAML"),
        ("a: 1\nb: 'x\n", 3, "must be YAML"),
        ("a: 1\n b: 2\n", 2, "must be YAML"),
        ("a: 1\nb: *nope\n", 2, "undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, "single document"),
        ("a: 1\nb: !!python/object:os.system {}\n", 2, "YAML tags are not read"),
        ("a: !mine 1\n", 1, "YAML tags are not read"),
        ("a: !!int one\n", 1, "`one` cannot be read as a number"),
        ("a: 1\n? [1]\n: 2\n", 2, "a key is a list"),
        ("a: &x [*x]\n", 1, "an entry that holds itself"),
        (BOMB, None, f"more than {MAX_ENTRIES} entries"),
        ("[" * 2_000, None, "nested too deeply"),
        (b"a: \xff", None, "UTF-8"),
        ("a: \x00", None, "UTF-8"),
        ("", 1, "is empty"),
        ("# nothing\n", 1, "is empty"),
    ],
)
def test_what_is_not_plain_yaml_is_named_with_its_line(
    text: str | bytes, line: int | None, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "x.yaml")
    problem = caught.value.problems[0]
    assert problem.file == "x.yaml"
    assert words in str(problem)
    assert line is None or problem.line == line


def test_every_fault_of_the_text_is_found() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("a: 1\na: 2\nb: !x 1\n", "x.yaml")
    assert [problem.line for problem in caught.value.problems] == [2, 3]
