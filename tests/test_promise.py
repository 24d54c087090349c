"""docs/promise.md: all that version 0.2 offered is still there; tests/data/promise-0.2.json lists it."""

from __future__ import annotations

import importlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from runlog.records import FIELDS
from sweep.api.status import Status
from sweep.spec.hyperparameters import CORE
from sweep.spec.json_schema import study_schema
from sweep.spec.schema import PRUNERS, SAMPLERS

PROMISED: dict[str, Any] = json.loads((Path(__file__).parent / "data/promise-0.2.json").read_text())


@pytest.mark.parametrize("module", PROMISED["python"])
def test_no_public_name_of_python_is_gone(module: str) -> None:
    assert set(PROMISED["python"][module]) - set(importlib.import_module(module).__all__) == set()


@pytest.mark.parametrize("section", PROMISED["study file"])
def test_no_key_of_the_study_file_is_gone(section: str) -> None:
    schema = study_schema()
    known = {"Study": schema, **schema["$defs"]}[section]["properties"]
    assert set(PROMISED["study file"][section]) - known.keys() == set()


@pytest.mark.parametrize(
    ("kind", "known"), [("samplers", SAMPLERS), ("pruners", PRUNERS), ("hyperparameters", CORE)]
)
def test_no_name_in_a_study_file_is_gone(kind: str, known: Any) -> None:
    assert set(PROMISED[kind]) - set(known) == set()


@pytest.mark.parametrize("kind", PROMISED["records"])
def test_a_record_asks_for_the_fields_that_it_asked_for(kind: str) -> None:
    """One more, and every older line is damaged; one less, and an older version calls new lines damaged."""
    assert set(PROMISED["records"][kind]) == FIELDS[kind]


def test_no_key_of_the_status_in_json_is_gone() -> None:
    assert set(PROMISED["json"]["status"]) - {each.name for each in fields(Status)} == set()
