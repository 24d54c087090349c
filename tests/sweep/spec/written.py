"""Study files that a person could write, drawn by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

names = st.from_regex(r"[a-z]{3}_x[0-9]{0,2}", fullmatch=True)
words = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), max_size=9)
tricky = st.sampled_from(["on", "1e-4", "~", "", "1_000", "true", ".5", "0x1", "- a", "a: b", "2024-01-01"])
_numbers = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | _numbers | words | tricky
_counts = st.integers(1, 10**6)


def _distinct(values: list[Any]) -> list[Any]:
    return [value for index, value in enumerate(values) if value not in values[:index]]


def _bounds(draw: st.DrawFn, numbers: st.SearchStrategy[float]) -> dict[str, Any]:
    low, high = sorted(draw(st.lists(numbers, min_size=2, max_size=2, unique=True)))
    return {"low": low, "high": high}


@st.composite
def _entries(draw: st.DrawFn) -> dict[str, Any]:
    match draw(st.sampled_from(["int", "float", "log", "choices"])):
        case "int":
            low, steps, step = draw(st.integers(-(2**40), 2**40)), draw(_counts), draw(_counts)
            return {"low": low, "high": low + steps * step, "step": step}
        case "float":
            return _bounds(draw, _numbers)
        case "log":
            return {**_bounds(draw, st.floats(1e-300, 1e300)), "log": True}
        case _:
            return {"choices": _distinct(draw(st.lists(scalars, min_size=1, max_size=5)))}


@st.composite
def studies(draw: st.DrawFn) -> dict[str, Any]:
    """A right study file as plain values."""
    space = draw(st.dictionaries(names, _entries(), min_size=1, max_size=5))
    parent = {"choices": ["a", "b", 1]}
    for entry in space.values():
        condition = draw(st.sampled_from([None, "a", ["b", 1], {"low": 0.5}]))
        entry |= {"when": {"parent": condition}} if condition else {}
    extent = st.sampled_from(["epochs", "examples", "updates"]).flatmap(
        lambda unit: st.builds(lambda count: {unit: count}, _counts)
    )
    optional = {
        "seed": st.integers(0, 2**64 - 1),
        "fixed": st.dictionaries(names.filter(lambda name: name not in space), scalars, max_size=3),
        "sampler": st.builds(lambda name: {"name": name}, st.sampled_from(["tpe", "random", "qmc", "cmaes"])),
        "pruner": st.just({"name": "median"}),
        "lanes": st.just("auto") | _counts,
        "checkpoints": st.fixed_dictionaries(
            {}, optional={"max_bytes": st.sampled_from(["1500 MB", "3 GiB", "7 B"])}
        ),
        "executor": st.sampled_from(["ray", "inline"]),
    }
    require = {"tags": ["fast"], "min_memory": draw(st.sampled_from(["32 GB", "1 GiB"]))}
    length = draw(extent)
    return {
        "name": "study",
        "task": "package.module:Task",
        "objective": {"metric": draw(words.filter(bool)), "direction": "minimize"},
        "space": {"parent": parent, **space},
        "trial": {
            "micro_batch_size": draw(_counts),
            "length": length,
            "report_every": length,
            "timeout": "1h0.5s",
        },
        "budget": {"trials": draw(_counts)},
        **draw(st.fixed_dictionaries({}, optional=optional)),
        **draw(st.sampled_from([{}, {"cluster": "lab.yaml", "require": require}])),
    }
