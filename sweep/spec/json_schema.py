"""The study file as JSON Schema, made from the pydantic models: editors complete and check by it."""

from __future__ import annotations

import json
from typing import Any

from configfile.quantities import format_duration
from sweep.spec.notify import BEST_EVERY_S
from sweep.spec.schema import StudySpec

FILE = "study.schema.json"
"""Name of the file that study files name in their first line."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def study_schema() -> dict[str, Any]:
    """The schema of a study file as values of JSON.

    It holds what is true of one value alone; `sweep check` holds the rules between values too.
    """
    schema: dict[str, Any] = _plain(StudySpec.model_json_schema())
    properties = schema["properties"]
    one = properties["objective"].pop("items")
    properties["objective"].pop("type")
    properties["objective"]["anyOf"] = [one, {"type": "array", "items": one, "minItems": 1}]
    for entry in properties.values():
        if isinstance(defaults := entry.get("default"), dict) and "$ref" in entry:
            section = schema["$defs"][entry["$ref"].rpartition("/")[2]]["properties"]
            for key, value in defaults.items():  # in the file's words, `1m` and not 60.0
                section[key]["default"] = value
    schema["$defs"]["Notify"]["properties"]["every"]["default"] = format_duration(BEST_EVERY_S)
    schema["oneOf"] = [{"required": ["task"]}, {"required": ["command"]}]
    return {"$schema": _DIALECT, **schema, "title": "Study", "description": "A study file of sweep."}


def study_schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(study_schema(), indent=1) + "\n"


def _plain(value: Any, *, names: bool = False) -> Any:
    """The schema without pydantic's made-up titles and without defaults that say no more than null.

    `names` marks a mapping whose keys are names of properties, not words of JSON Schema.
    """
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: item
        for key, item in value.items()
        if names or (key != "title" and (key, item) != ("default", None))
    }
    return {
        key: _default(item) if key == "default" and not names else _plain(item, names=key == "properties")
        for key, item in kept.items()
    }


def _default(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _default(item) for key, item in value.items() if item is not None}
