"""Trials of another space in this one, and edits that cannot be meant."""

from __future__ import annotations

import pytest

from runlog.study import TrialRow
from sweep.spec.edited.edits import changes_text, edited, refusals, values_of
from sweep.spec.edited.fitting import Fit, Fitting, apart, nearest, summary
from sweep.spec.parse import parse
from sweep.spec.schema import Choices, FloatRange, IntRange, StudySpec
from tests.sweep.spec.minimal import MINIMAL, spec_of

RATE = FloatRange(low=1e-4, high=1e-1, log=True)


def study(space: str, **more: str) -> StudySpec:
    """The minimal study with this space, and further sections."""
    text = MINIMAL.replace("  learning_rate: {low: 1e-4, high: 1e-1, log: true}", f"  {space}")
    return parse(text + "".join(f"{key}: {value}\n" for key, value in more.items()), "study.yaml")


@pytest.mark.parametrize(
    ("entry", "value", "taken"),
    [
        (RATE, 0.01, (0.01,)),
        (RATE, 0.15, (0.1,)),
        (RATE, 0.3, ()),
        (RATE, -1.0, ()),
        (RATE, True, ()),
        (RATE, "fast", ()),
        (FloatRange(low=0.0, high=1.0), 1, (1.0,)),
        (FloatRange(low=0.0, high=1.0, step=0.25), 0.3, (0.25,)),
        (FloatRange(low=0.0, high=1.0, step=0.5), 0.3, ()),
        (IntRange(low=1, high=100), 109, (100,)),
        (IntRange(low=1, high=4), 5, ()),
        (IntRange(low=16, high=512, step=16), 520, (512,)),
        (IntRange(low=1, high=8), 3.0, (3,)),
        (Choices(choices=(1, 2)), 2.0, (2,)),
        (Choices(choices=(True, 2)), 1, ()),
        (Choices(choices=(None, 1.0)), None, (None,)),
        (Choices(choices=("a", "b")), "c", ()),
    ],
)
def test_a_value_is_the_same_or_close_or_none(
    entry: object, value: object, taken: tuple[object, ...]
) -> None:
    found = nearest(entry, value)  # type: ignore[arg-type]
    assert found == taken
    assert list(map(type, found)) == list(map(type, taken))


def test_distance_is_a_share_of_the_range_in_its_logarithm() -> None:
    assert apart(RATE, 0.1, 0.01) == pytest.approx(1 / 3)
    assert apart(FloatRange(low=0.0, high=10.0), 1, 2) == pytest.approx(0.1)
    assert apart(None, 1, 1) == apart(Choices(choices=(1,)), 1, 1) == float("inf")


def test_a_trial_is_taken_moved_filled_or_left_out() -> None:
    spec = study(
        "rate: {low: 0.0, high: 1.0}\n  hidden: {choices: [1, 2]}\n  dropout: {low: 0.0, high: 0.5}\n"
        "  momentum: {low: 0.1, high: 0.9, when: {hidden: 2}}",
        earlier="{dropout: 0.0}",
        fixed="{decay: 0.1}",
    )
    before = {"decay": FloatRange(low=0.0, high=1.0)}
    fit = Fitting(spec, before=before).fit
    base = {"rate": 0.5, "hidden": 1, "decay": 0.1}
    assert fit(base, base) == Fit({"rate": 0.5, "hidden": 1, "dropout": 0.0}, filled=("dropout",))
    assert fit(base, {**base, "dropout": 0.2}).filled == ()
    assert fit({**base, "rate": 1.05}, {**base, "rate": 1.05}).moved == ("rate",)
    assert not fit({**base, "rate": 1.05}, {**base, "rate": 1.05}).exact
    assert fit({**base, "decay": 0.15}, {**base, "decay": 0.15}).moved == ("decay",)
    assert fit({**base, "decay": 0.5}, {**base, "decay": 0.5}).misfit == "decay"
    assert fit({**base, "hidden": 3}, {**base, "hidden": 3}).misfit == "hidden"
    assert fit({**base, "hidden": 2}, {**base, "hidden": 2}).misfit == "momentum"
    assert fit(base, {**base, "momentum": 0.4}).params == {"rate": 0.5, "hidden": 1, "dropout": 0.0}
    fits = [fit(each, each) for each in (base, {**base, "rate": 1.05}, {**base, "hidden": 3})]
    assert summary(fits) == (
        "2 of 3 earlier trials fit, 1 moved to the nearest value of rate, 2 with a value filled in for "
        "dropout, 1 left out by hidden"
    )


TRIALS = [TrialRow(0, params={"a": 1, "b": 2.0}, hyperparameters={"a": 1, "b": 2.0, "c": 0.5})]
BEFORE = "a: {choices: [1, 2]}\n  b: {low: 0.0, high: 4.0}"


@pytest.mark.parametrize(
    ("space", "more", "said"),
    [
        ("a: {choices: [1, 3]}\n  b: {low: 0.0, high: 8.0, step: 0.5}", {}, ()),
        ("a: {choices: [1, 2]}\n  b: {choices: [2, 4]}", {}, ()),
        ("a: {low: 1, high: 8}\n  b: {low: 0.0, high: 4.0}\n  c: {low: 0.0, high: 1.0}", {"fixed": "{}"}, ()),
        (BEFORE + "\n  d: {low: 0, high: 2}", {"earlier": "{d: 0}"}, ()),
        ("a: {choices: [1, 2]}", {"fixed": "{b: 2.0, c: 0.5}"}, ()),
        (BEFORE + "\n  d: {low: 0, high: 2}", {}, ("space.d: is new. Write earlier: {d: VALUE}",)),
        (
            "a: {choices: [1, 2]}",
            {},
            ("space.b: is gone, and trials were asked by it. Write fixed: {b: VALUE}",),
        ),
        (BEFORE, {"fixed": "{c: 0.6}"}, ("fixed.c: was 0.5, is 0.6",)),
        (BEFORE, {"fixed": "{}"}, ("fixed.c: was 0.5, is gone",)),
        (BEFORE, {"fixed": "{c: 0.5, d: 1}"}, ("fixed.d: was not there, is 1",)),
        ("a: {low: 3, high: 60}\n  b: {low: 0.0, high: 4.0}", {}, ()),
        (
            "a: {choices: [1, 2]}\n  b: {choices: [few, many]}",
            {},
            ("space.b: is of another kind than it was",),
        ),
    ],
)
def test_an_edit_that_cannot_be_meant_says_what_to_write(
    space: str, more: dict[str, str], said: tuple[str, ...]
) -> None:
    before, after = study(BEFORE, fixed="{c: 0.5}"), study(space, **{"fixed": "{c: 0.5}", **more})
    found = refusals(before, after, TRIALS)
    assert len(found) == len(said), found
    assert all(one.startswith(other) for one, other in zip(found, said, strict=True)), found
    assert refusals(before, after, []) == []


FUNCTION = """\
name: f
task: train.py:train
objective: {metric: loss, direction: minimize}
budget: {trials: 4}
"""


def test_the_changes_are_said_by_hyperparameter_whatever_it_is_called() -> None:
    texts = (
        "space: {a: {choices: [1, 2]}}\nfixed: {c.d: 0.5, e: 1}",
        "space: {a: {choices: [1, 2]}, c.d: {low: 0.0, high: 1.0}}\nfixed: {e: 1}",
        "space: {a: {choices: [1, 2]}}\nfixed: {c.d: 0.5, e: 1}\nearlier: {a: 1}",
    )
    before, after, other = (parse(FUNCTION + text, "study.yaml") for text in texts)
    assert changes_text(before, after) == "c.d: fixed at 0.5 -> number from 0 to 1"
    assert changes_text(before, other) == "earlier a: not there -> 1"
    asked = [TrialRow(0, params={"a": 1}, hyperparameters={"a": 1, "c.d": 0.5, "e": 1})]
    assert refusals(before, after, asked) == refusals(before, other, asked) == []


def test_the_changes_are_said_to_the_last_digit_and_with_what_earlier_trials_are_said_to_have_had() -> None:
    before, after = (
        study(f"a: {{low: 1, high: {high}}}\n  c: {{low: 0.0, high: {top}}}", earlier=f"{{c: {had}}}")
        for high, top, had in ((12345678, 0.1, 0.0), (12345679, 0.10000001, 0.05))
    )
    assert changes_text(before, after) == (
        "a: integer from 1 to 12345678 -> integer from 1 to 12345679; "
        "c: number from 0 to 0.1 -> number from 0 to 0.10000001; earlier c: 0.0 -> 0.05"
    )


def test_trials_of_two_edits_ago_are_fitted_by_their_own_values() -> None:
    first, second, third = (spec_of(f"a: {{low: 1, high: {high}}}") for high in (100, 10, 90))
    edits = [
        {"before": values_of(one), "after": values_of(other)}
        for one, other in ((first, second), (second, third))
    ]
    rows = {
        number: TrialRow(number, params={"a": value}, hyperparameters={"a": value}, edits=number)
        for number, value in enumerate((95, 7, 80))
    }
    found = edited(third, edits, rows)
    assert found.edits == 2
    assert found.fits == {0: Fit({"a": 90}, moved=("a",)), 1: Fit({"a": 7})}


CHOICES = "a: {choices: [1, 2]}"
RANGE = CHOICES + "\n  c: {low: 0.0, high: 1.0}"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (study(CHOICES, fixed="{c: 0.5}"), study(RANGE)),
        (study(CHOICES), study(RANGE, earlier="{c: 0.5}")),
    ],
)
def test_what_was_fixed_or_had_no_value_before_it_was_searched_is_known_when_it_is_fixed_again(
    first: StudySpec, second: StudySpec
) -> None:
    had = first.fixed
    rows = {
        0: TrialRow(0, params={"a": 1}, hyperparameters={"a": 1, **had}),
        1: TrialRow(1, params={"a": 1, "c": 0.9}, hyperparameters={"a": 1, "c": 0.9}, edits=1),
    }
    third = study(CHOICES, fixed="{c: 0.9}")
    for last, misfit in ((third, "c"), (study(CHOICES, fixed="{c: 0.5}"), None)):
        assert refusals(second, last, list(rows.values())) == []
        edits = [
            {"before": values_of(one), "after": values_of(other)}
            for one, other in ((first, second), (second, last))
        ]
        fits = edited(last, edits, rows).fits
        assert (fits[0].misfit, fits[1].misfit) == (misfit, None if misfit else "c")


def test_what_a_trial_is_left_out_by_is_what_was_fixed_and_not_what_follows_from_it() -> None:
    momentum = "m: {low: 0.1, high: 0.9"
    before = study(f"o: {{choices: [adam, sgd]}}\n  {momentum}, when: {{o: sgd}}}}")
    after = study(momentum + "}", fixed="{o: sgd}")
    rows = {0: TrialRow(0, params={"o": "adam"}, hyperparameters={"o": "adam"})}
    edits = [{"before": values_of(before), "after": values_of(after)}]
    assert edited(after, edits, rows).fits[0].misfit == "o"
