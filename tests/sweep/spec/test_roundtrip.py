"""Any study that can be written, resolved and read again, is the same study."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from configfile import yamlfile
from sweep.errors import SpecError
from sweep.spec.differences import differences
from sweep.spec.parse import parse
from sweep.spec.resolve import resolved, resolved_text

_names = st.from_regex(r"[a-z]{3}_x[0-9]{0,2}", fullmatch=True)
_words = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), max_size=9)
_tricky = st.sampled_from(["on", "1e-4", "~", "", "1_000", "true", ".5", "0x1", "- a", "a: b", "2024-01-01"])
_numbers = st.floats(allow_nan=False, allow_infinity=False)
_scalars = st.none() | st.booleans() | st.integers() | _numbers | _words | _tricky
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
            low, steps, step = draw(st.integers()), draw(_counts), draw(_counts)
            return {"low": low, "high": low + steps * step, "step": step}
        case "float":
            return _bounds(draw, _numbers)
        case "log":
            return {**_bounds(draw, st.floats(1e-300, 1e300)), "log": True}
        case _:
            return {"choices": _distinct(draw(st.lists(_scalars, min_size=1, max_size=5)))}


@st.composite
def studies(draw: st.DrawFn) -> dict[str, Any]:
    """A right study file as plain values."""
    space = draw(st.dictionaries(_names, _entries(), min_size=1, max_size=5))
    parent = {"choices": ["a", "b", 1]}
    for entry in space.values():
        condition = draw(st.sampled_from([None, "a", ["b", 1], {"low": 0.5}]))
        entry |= {"when": {"parent": condition}} if condition else {}
    extent = st.sampled_from(["epochs", "examples", "updates"]).flatmap(
        lambda unit: st.builds(lambda count: {unit: count}, _counts)
    )
    optional = {
        "seed": st.integers(0, 2**64 - 1),
        "fixed": st.dictionaries(_names.filter(lambda name: name not in space), _scalars, max_size=3),
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
        "objective": {"metric": draw(_words.filter(bool)), "direction": "minimize"},
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


@settings(max_examples=60, deadline=None)
@given(studies())
def test_resolved_text_reads_back_as_an_equal_study(study: dict[str, Any]) -> None:
    spec = parse(yamlfile.dump(study), "study.yaml")
    again = parse(resolved_text(spec), "runs/study/study.yaml")
    assert again == spec
    assert repr(resolved(again)) == repr(resolved(spec))
    assert differences(spec, again) == []


_nested: st.SearchStrategy[Any] = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3)
)


@settings(max_examples=60, deadline=None)
@given(_nested)
def test_dumped_values_read_back_as_they_were(value: Any) -> None:
    assert repr(yamlfile.parse(yamlfile.dump({"k": value}), "x.yaml").value) == repr({"k": value})


_junk: st.SearchStrategy[Any] = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_tricky | _names, inner, max_size=2)
)


@settings(max_examples=100, deadline=None)
@given(studies(), st.data())
def test_invariant_10_a_study_file_with_anything_anywhere_is_read_or_refused_with_lines(
    study: dict[str, Any], data: st.DataObject
) -> None:
    place: Any = study
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(_junk)
    try:
        parse(yamlfile.dump(study), "study.yaml")
    except SpecError as error:
        assert all(problem.line and problem.rule for problem in error.problems)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text("a:-[]{}&*!?|>'\"%@\n\t 1.,#<", max_size=30).map(str.encode))
def test_invariant_10_any_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        parse(text, "study.yaml")
    except SpecError as error:
        assert error.problems
