"""What the verbs print with `--json`, by docs/verbs.schema.json."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from tests.sweep.conftest import ROOT

SCHEMA = json.loads((ROOT / "docs" / "verbs.schema.json").read_text())


def validated(verb: str, text: str) -> Any:
    """What a verb printed: one value of its shape."""
    value = json.loads(text)
    jsonschema.validate(value, {**SCHEMA, "$ref": f"#/$defs/{verb}"})
    return value
