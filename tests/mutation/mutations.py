"""What a seed changes in a study file: characters, lines, or values and keys of what it says."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

from configfile import yamlfile
from tests.mutation.texts import texts

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**9, 2**63, -(2**63) - 1, 10**30, 10**400),
    *(0.0, -0.0, 0.5, 1e-320, 1e308, 3.0, float("inf"), float("-inf"), float("nan")),
    *("", " ", "auto", "none", "0", "1e-4", "-5m", "10 GB", "1e999 GB", "99999999999999 weeks"),
    *("../x", "/", "a:b", "task.py:", ":Task", "x" * 5000, "\u0000", "\ud7ff", "é", "{}"),
    *("!!python/object:os.system", "tpe", "sgd", "learning_rate", "minimize"),
    *([], {}, [[]], [None], [1, "a", 0.5], [1] * 200),
    *({"low": 0, "high": 1}, {"low": 1, "high": 0}, {"low": 0.0, "high": 1.0, "log": True}),
    *({"low": 0, "high": 10**18, "step": 1}, {"low": 0.0, "high": 1e300, "step": 1e-300}),
    *({"choices": []}, {"choices": [1, 1]}, {"choices": [float("nan")]}),
    *({"choices": [0, 1], "when": {"a": 1}}, {"epochs": 1}, {"examples": 10**30}, {"epochs": float("inf")}),
    *({"name": "tpe"}, {"name": "no.such:Class"}, {"name": "os:system"}),
)
"""What any value may become: the ends of every type, and things of other kinds."""

CHARACTERS = ":,-[]{}#&*!|>'\"%@`\t\n\r \\\x00\x07\x85\u2028\ufeff~?0.eE"
LINES = (
    *("a: &a [x, x]", "b: *a", "<<: *a", "---", "...", "%YAML 1.1", "? [a, b]", "- x", "  - x", "\tx: 1"),
    *("x: |", "!!set {a, b}", "{[}: ]", "x: !!binary aGVsbG8=", "space: {}", "name: again", "x: 1:2:3"),
    *("[" * 500, "{a: " * 200, "x: " + "9" * 5000),
)


def mutated(seed: int) -> str | bytes:
    """A study file with a few things changed."""
    chance = random.Random(seed)
    text = chance.choice(texts())
    if chance.random() < 0.6:
        text = _changed_values(chance, text)
    if chance.random() < 0.5:
        text = chance.choice((_characters, _lines))(chance, text)
    if chance.random() < 0.05:
        data = bytearray(text.encode("utf-8", "surrogatepass"))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data)
    return text


def _changed_values(chance: random.Random, text: str) -> str:
    """Values replaced, removed, moved or renamed, one to three times."""
    root = yamlfile.parse(text, "study.yaml").value
    for _ in range(chance.randint(1, 3)):
        places = list(_places(root))
        if not places:
            break
        holder, key = chance.choice(places)
        _change(chance, holder, key, places)
    try:
        return yamlfile.dump(root)
    except (RecursionError, ValueError):  # a value was put into itself
        return text


def _change(chance: random.Random, holder: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    match chance.randrange(5):
        case 0 | 1:
            holder[key] = deepcopy(chance.choice(VALUES))  # a seed must not change what the next one finds
        case 2:
            del holder[key]
        case 3:
            source, name = chance.choice(places)
            holder[key] = deepcopy(source[name])
        case _ if isinstance(holder, dict):
            names = [name for _, name in places if isinstance(name, str)]
            holder[chance.choice([*names, "", "learning-rate", "a.b", "x" * 300])] = holder.pop(key)


def _places(value: Any, depth: int = 0) -> Any:
    """Every place of a tree, as what holds it and its key."""
    if depth > 20:
        return
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key], depth + 1)


def _characters(chance: random.Random, text: str) -> str:
    """A few characters replaced, removed or added."""
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(("", chance.choice(CHARACTERS))) + text[at + chance.randint(0, 2) :]
    return text


def _lines(chance: random.Random, text: str) -> str:
    """A line removed, doubled, moved, indented or added."""
    lines = text.splitlines()
    at = chance.randrange(len(lines))
    match chance.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines.insert(chance.randrange(len(lines)), lines[at])
        case 2:
            lines[at] = " " * chance.randint(1, 3) + lines[at]
        case 3:
            lines = lines[: at + 1]
        case _:
            lines.insert(at, chance.choice(LINES))
    return "\n".join(lines) + "\n"
