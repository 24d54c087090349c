"""Write the tables of keys in docs/study.md anew from the study file's schema: python docs/tables.py

A table stands between `<!-- keys of NAME -->` and `<!-- end -->`; NAME is `Study` or a section of the schema.
That of the training core's hyperparameters stands between `<!-- hyperparameters -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sweep.spec.hyperparameters import CORE, DEFAULTS, MEANINGS
from sweep.spec.json_schema import study_schema

PAGE = Path(__file__).with_name("study.md")
TABLE = re.compile(r"(<!-- keys of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
HYPERPARAMETERS = re.compile(r"(<!-- hyperparameters -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = "| Key | Meaning | Default |\n| --- | --- | --- |\n"


def with_tables(text: str) -> str:
    """The page with every table as the schema has it now."""
    schema = study_schema()
    sections = {"Study": schema, **schema["$defs"]}
    text = TABLE.sub(lambda found: found[1] + table(sections[found[2]], sections) + found[3], text)
    return HYPERPARAMETERS.sub(lambda found: found[1] + hyperparameters() + found[2], text)


def hyperparameters() -> str:
    """The names that the training core understands, what each may be and its default."""
    rows = [
        f"| `{name}` | {MEANINGS[name]} | {values.rule} | {_core_default(name)} |\n"
        for name, values in CORE.items()
    ]
    return "| Name | Meaning | Values | Default |\n| --- | --- | --- | --- |\n" + "".join(rows)


def _core_default(name: str) -> str:
    if name == "micro_batch_size":
        return "required"
    if name not in DEFAULTS:
        return "the optimizer's"
    return "none" if DEFAULTS[name] is None else f"`{_yaml(DEFAULTS[name])}`"


def table(section: dict[str, Any], sections: dict[str, Any]) -> str:
    """A section's keys, those that are required first."""
    entries = {
        key: {**sections.get(entry.get("$ref", "").rpartition("/")[2], {}), **entry}
        for key, entry in section["properties"].items()
    }
    required = section.get("required", [])
    keys = [*required, *(key for key in entries if key not in required)]
    return HEAD + "".join(_row(key, entries[key], key in required) for key in keys)


def _row(key: str, entry: dict[str, Any], required: bool) -> str:
    meaning = entry["description"].replace("\n", " ").removesuffix(".").replace("|", "\\|")
    default = "required" if required else _default(entry.get("default"))
    return f"| `{key}` | {meaning} | {default} |\n"


def _default(value: Any) -> str:
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
    if all(item is None or item == [] for item in items):
        return "none"
    return "see below" if isinstance(value, dict) and len(value) > 1 else f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
