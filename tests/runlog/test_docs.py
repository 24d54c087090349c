"""The page on the run directory names every file and every record there is."""

from __future__ import annotations

import re
from pathlib import Path

from runlog import layout
from runlog.records import FIELDS

TEXT = (Path(__file__).parents[2] / "docs" / "run_directory.md").read_text("utf-8")


def test_every_file_is_named() -> None:
    names = [value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)]
    assert len(names) >= 9
    assert [name for name in names if f"`{name}`" not in TEXT] == []


def test_every_record_and_field_is_named() -> None:
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", TEXT))))
    named = set(FIELDS) | {field for fields in FIELDS.values() for field in fields}
    assert named - words == set()
