"""What may not change when a study is resumed, and did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from configfile import yamlfile
from configfile.yamlfile import Path as KeyPath
from sweep.spec.resolve import resolved
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Scalar

LOCKED = (
    "seed", "task", "command", "metrics", "counts_from", "objective", "constraints", "warm_start", "extends",
    "trial", "sampler", "pruner", "order",
)  # fmt: skip
"""What may not change when a study is resumed. What `space` may become is in `edits`."""


class Difference(NamedTuple):
    """A key that may not change on resume, and did; values as messages show them, None where none stood."""

    key: str
    old: str | None
    new: str | None


def differences(old: StudySpec, new: StudySpec, keys: Sequence[str] = LOCKED) -> list[Difference]:
    """The keys that may not change when `old` is resumed as `new`, and do; empty when it may be."""
    before, after = _leaves(resolved(old), keys), _leaves(resolved(new), keys)
    changed = (key for key in before | after if repr(before.get(key, ...)) != repr(after.get(key, ...)))
    return [Difference(key, *(_leaf_text(leaves, key) for leaves in (before, after))) for key in changed]


def _leaf_text(leaves: Mapping[str, Scalar], key: str) -> str | None:
    return yamlfile.value_text(leaves[key]) if key in leaves else None


def _leaves(values: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Scalar]:
    """Key path -> the value there; to be compared as text, since Python finds 1, 1.0 and true equal."""
    leaves: dict[str, Scalar] = {}

    def walk(path: KeyPath, value: Any) -> None:
        if isinstance(value, dict | list):
            for part, item in value.items() if isinstance(value, dict) else enumerate(value):
                walk((*path, part), item)
        else:
            leaves[yamlfile.key_text(path) or ""] = value

    for key in keys:
        walk((key,), values.get(key, {}))
    return leaves
