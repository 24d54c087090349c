"""Which states are of a plan's lineage, and which stretch comes next."""

from __future__ import annotations

from sweep.spec.population.stretches import accumulations, is_own, is_passed, place_after, place_to
from sweep.vocabulary.trial import Length, Stretch, TrialPlan

LENGTH = Length(400, 100)
PAST = (Stretch(104, 2, {"accumulation_steps": 4}), Stretch(200, 5, {}))
MEMBER = TrialPlan(7, 0, {"accumulation_steps": 2}, (), LENGTH, past=PAST)
REPLAY = TrialPlan(0, 0, {}, (), LENGTH, key_number=7, past=PAST)
PLAIN = TrialPlan(7, 0, {}, (), LENGTH)


def test_a_stretch_ends_at_its_boundary_and_the_next_one_follows() -> None:
    assert [place_to(MEMBER, seen) for seen in (0, 104, 112, 200, 208, 400)] == [0, 0, 1, 1, 2, 2]
    assert [place_after(MEMBER, seen) for seen in (0, 96, 104, 200, 400)] == [0, 0, 1, 2, 2]


def test_a_member_s_lineage_passed_the_states_of_its_ancestors_alone() -> None:
    assert is_passed(MEMBER, 2, 104)
    assert is_passed(MEMBER, 5, 200)
    assert is_passed(MEMBER, 7, 208)
    assert not is_passed(MEMBER, 7, 200)  # what it had before it took another's state
    assert not is_passed(MEMBER, 7, 96)
    assert not is_passed(MEMBER, 2, 112)
    assert is_passed(PLAIN, 7, 96)


def test_a_member_saves_what_is_beyond_its_last_boundary() -> None:
    assert [is_own(MEMBER, seen) for seen in (96, 200, 208)] == [False, False, True]
    assert is_own(PLAIN, 0)


def test_a_replay_has_all_of_its_lineage_itself() -> None:
    assert is_own(REPLAY, 96)
    assert is_passed(REPLAY, 0, 96)
    assert not is_passed(REPLAY, 2, 96)


def test_accumulation_is_counted_in_micro_batches() -> None:
    assert list(accumulations(MEMBER, 2, 8)) == [(13, 4), (25, 1)]
