"""Entries as Optuna distributions, and conditional suggestion."""

from __future__ import annotations

from itertools import pairwise

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweep.search.space import distributions, is_conditional, suggest_all
from sweep.spec.conditions import Circle, can_hold, dependency_order, holds
from sweep.spec.fields import Condition, Interval
from sweep.spec.parse import parse
from sweep.spec.schema import Choices, Entry, FloatRange, IntRange, StudySpec
from sweep.vocabulary.trial import Scalar

STUDY = """\
name: s
task: task.py:Task
objective: {metric: loss, direction: minimize}
trial: {micro_batch_size: 1, length: {epochs: 1}}
budget: {trials: 1}
"""


def study(space: str, fixed: str = "{}") -> StudySpec:
    entries = "".join(f"  {line}\n" for line in space.splitlines())
    return parse(f"{STUDY}fixed: {fixed}\nspace:\n{entries}", "s.yaml")


def test_distributions_are_optunas() -> None:
    spec = study("""\
i: {low: 1, high: 9, step: 2}
l: {low: 1, high: 9, log: true}
f: {low: 0.0, high: 1.0}
g: {low: 1e-3, high: 1.0, log: true}
q: {low: 0.0, high: 1.0, step: 0.25}
c: {choices: [1, a]}""")
    assert distributions(spec) == {
        "i": IntDistribution(1, 9, step=2),
        "l": IntDistribution(1, 9, log=True),
        "f": FloatDistribution(0.0, 1.0),
        "g": FloatDistribution(1e-3, 1.0, log=True),
        "q": FloatDistribution(0.0, 1.0, step=0.25),
        "c": CategoricalDistribution((1, "a")),
    }
    assert not is_conditional(spec)


NESTED = """\
a_child: {low: 0.5, high: 0.9, when: {optimizer: sgd}}
b_child: {choices: [1, 2], when: {a_child: {low: 0.7}}}
optimizer: {choices: [sgd, adam]}"""


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"optimizer": "adam"}, ["optimizer"]),
        ({"optimizer": "sgd", "a_child": 0.6}, ["optimizer", "a_child"]),
        ({"optimizer": "sgd", "a_child": 0.8, "b_child": 2}, ["optimizer", "a_child", "b_child"]),
    ],
)
def test_conditional_entries_are_suggested_where_they_hold(
    values: dict[str, Scalar], names: list[str]
) -> None:
    spec = study(NESTED)
    assert is_conditional(spec)
    suggested = suggest_all(optuna.trial.FixedTrial(values), spec)
    assert list(suggested) == names
    assert suggested == values


def test_conditions_look_at_fixed_values_too() -> None:
    spec = study("m: {low: 0.5, high: 0.9, when: {optimizer: [sgd, lion]}}", fixed="{optimizer: sgd}")
    assert suggest_all(optuna.trial.FixedTrial({"m": 0.6}), spec) == {"m": 0.6}


def test_proposals_do_not_depend_on_the_order_of_the_file() -> None:
    def proposals(space: str) -> list[dict[str, Scalar]]:
        sampler = optuna.samplers.RandomSampler(seed=0)
        trials = optuna.create_study(sampler=sampler)
        return [suggest_all(trials.ask(), study(space)) for _ in range(5)]

    lines = [*NESTED.splitlines(), "x: {low: 0.0, high: 1.0}"]
    assert proposals("\n".join(lines)) == proposals("\n".join(reversed(lines)))


def test_parents_come_first_and_names_settle_the_rest() -> None:
    space: dict[str, Entry] = {
        "c": Choices(choices=(1,)),
        "a": Choices(choices=(1,), when={"z": 1}),
        "z": Choices(choices=(1,), when={"c": 1}),
        "b": Choices(choices=(1,)),
    }
    assert dependency_order(space) == ["b", "c", "z", "a"]
    assert dependency_order(dict(reversed(space.items()))) == ["b", "c", "z", "a"]


def test_a_circle_is_raised_with_its_names() -> None:
    space: dict[str, Entry] = {
        name: Choices(choices=(1,), when={after: 1}) for name, after in ("ab", "bc", "ca")
    }
    with pytest.raises(Circle) as caught:
        dependency_order(space)
    names = caught.value.names
    assert sorted(names[:-1]) == ["a", "b", "c"]
    assert names[0] == names[-1]
    assert all(list(space[name].when or ()) == [after] for name, after in pairwise(names))


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ("sgd", "sgd", True),
        ("sgd", "adam", False),
        (("sgd", "lion"), "lion", True),
        (1, True, False),
        (True, True, True),
        (1, 1.0, True),
        (None, None, True),
        (Interval(low=1, high=2), 2, True),
        (Interval(low=1, high=2), 2.1, False),
        (Interval(low=1), 99, True),
        (Interval(high=0), "a", False),
        (Interval(low=0), True, False),
    ],
)
def test_conditions(condition: Condition, value: Scalar, expected: bool) -> None:
    assert holds(condition, value) is expected


@pytest.mark.parametrize(
    ("condition", "parent", "expected"),
    [
        (3, IntRange(low=1, high=3), True),
        (2.5, IntRange(low=1, high=3), False),
        (2, FloatRange(low=1, high=3), True),
        (("a", 9), FloatRange(low=1, high=3), False),
        (Interval(low=3), FloatRange(low=1, high=3), True),
        (Interval(high=0.5), FloatRange(low=1, high=3), False),
        (Interval(low=2), Choices(choices=("a", 1)), False),
        ("a", Choices(choices=("a", 1)), True),
    ],
)
def test_whether_a_condition_can_hold(condition: Condition, parent: Entry, expected: bool) -> None:
    assert can_hold(condition, parent) is expected
