"""Lineages of members, as the log adds up to them."""

from __future__ import annotations

from collections.abc import Mapping

from runlog.lineage import Change, Lineage, Stretch, Version
from runlog.records import encode
from runlog.study import StudyState

ASKED: Mapping[int, Mapping[str, float]] = {number: {"rate": float(number)} for number in range(4)}


def change(trial: int, seen: int, source: int | None, rate: float) -> Change:
    return Change(trial, seen, seen, source, before={"rate": -1.0}, after={"rate": rate})


def lineage(*changes: Change) -> Lineage:
    found = Lineage(ASKED.__getitem__)
    for each in changes:
        found.enter(each)
    return found


def test_a_member_that_never_changed_has_one_stretch() -> None:
    assert lineage().now(2) == Version(0, (), ASKED[2])
    assert lineage().until(2, 10) == (Stretch(10, 2, ASKED[2]),)


def test_a_copy_takes_the_whole_lineage_of_its_source() -> None:
    found = lineage(change(1, 10, 2, 5.0), change(3, 20, 1, 6.0))
    assert found.now(3).past == (Stretch(10, 2, ASKED[2]), Stretch(20, 1, {"rate": 5.0}))
    assert found.now(3).hyperparameters == {"rate": 6.0}


def test_what_a_source_took_later_is_not_what_it_had() -> None:
    found = lineage(change(1, 20, 2, 5.0), change(3, 10, 1, 6.0))  # 3 comes to 10 after 1 has passed 20
    assert found.now(3).past == (Stretch(10, 1, ASKED[1]),)


def test_members_that_copy_at_one_boundary_take_what_was_there_before() -> None:
    one, other = change(1, 10, 2, 5.0), change(3, 10, 1, 6.0)
    assert lineage(one, other).now(3) == lineage(other, one).now(3)


def test_a_change_alone_keeps_the_member_s_own_state() -> None:
    assert lineage(change(1, 10, None, 5.0)).until(1, 30) == (
        Stretch(10, 1, ASKED[1]),
        Stretch(30, 1, {"rate": 5.0}),
    )


def test_the_study_has_a_member_s_last_hyperparameters() -> None:
    study = StudyState()
    for number, params in ASKED.items():
        study.add(
            {
                "event": "asked",
                "time": 0,
                "trial": number,
                "params": params,
                "hyperparameters": params,
                "seed": 0,
            }
        )
    made = change(1, 10, 2, 5.0)
    study.add({"event": "evolved", "time": 1, "judged": [[1, 10], [2, 10]], "changes": [made.as_fields()]})
    assert study.trials[1].params == {"rate": 1.0}
    assert study.trials[1].final_params == {"rate": 5.0}
    assert study.trials[2].final_params == {"rate": 2.0}
    assert study.lineage.judged == {1: 10, 2: 10}
    assert study.lineage.changes == [made]


def test_a_number_that_is_not_finite_comes_back() -> None:
    made = Change(1, 10, 10, 2, before={"rate": float("inf")}, after={"rate": 1.0})
    line = encode("evolved", 0.0, {"judged": [], "changes": [made.as_fields()]})
    assert b'"Infinity"' in line
    assert Change.of(made.as_fields()) == made
