"""Any study that can be written, resolved and read again, is the same study."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configfile import yamlfile
from sweep.errors import SpecError
from sweep.spec.edited.differences import differences
from sweep.spec.parse import parse
from sweep.spec.resolve import resolved, resolved_text
from tests.sweep.spec.written import names, scalars, studies, tricky, words


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(studies())
def test_resolved_text_reads_back_as_an_equal_study(study: dict[str, Any]) -> None:
    spec = parse(yamlfile.dump(study), "study.yaml")
    again = parse(resolved_text(spec), "runs/study/study.yaml")
    assert again == spec
    assert repr(resolved(again)) == repr(resolved(spec))
    assert differences(spec, again) == []


_nested: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
)


@settings(max_examples=60, deadline=None)
@given(_nested)
def test_dumped_values_read_back_as_they_were(value: Any) -> None:
    assert repr(yamlfile.parse(yamlfile.dump({"k": value}), "x.yaml").value) == repr({"k": value})


_junk: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(tricky | names, inner, max_size=2)
)


@pytest.mark.slow
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
        assert all(problem.line and problem.what for problem in error.problems)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text("a:-[]{}&*!?|>'\"%@\n\t 1.,#<", max_size=30).map(str.encode))
def test_invariant_10_any_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        parse(text, "study.yaml")
    except SpecError as error:
        assert error.problems
