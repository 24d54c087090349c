"""What a study file says of a population, and what is refused with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.spec import order
from sweep.spec.against_task import validate_against
from sweep.spec.parse import parse
from sweep.spec.population.settings import Population, interval_of, population_of
from sweep.spec.resolve import resolved_text
from tests.sweep.spec.minimal import DIGITS, MINIMAL, PLAIN, only, problems_in

PBT = "sampler: {name: pbt, population: 4, interval: {epochs: 2}}\n"
TEXT = MINIMAL + PBT


def test_the_keys_have_defaults() -> None:
    spec = parse(MINIMAL + "sampler: {name: pbt}\n", "study.yaml")
    assert population_of(spec) == Population(quantile=0.25, perturb=1.2, resample=0.25)
    assert interval_of(spec, PLAIN) == 1437
    assert population_of(parse(MINIMAL, "study.yaml")) is None
    assert interval_of(parse(TEXT, "study.yaml"), PLAIN) == 2874


def test_the_members_are_the_trials() -> None:
    spec = parse(TEXT.replace("budget: {trials: 4}", "budget: {time: 1h}"), "study.yaml")
    assert spec.budget.trials == 4
    assert parse(resolved_text(spec), "again.yaml") == spec


@pytest.mark.parametrize(
    ("old", "new", "key", "what"),
    [
        ("population: 4", "population: 5", "budget.trials", "the members are the trials"),
        ("population: 4", "population: 1", "sampler.population", "at least 2"),
        ("interval: {epochs: 2}", "quantile: 0.6", "sampler.quantile", "at most 0.5"),
        ("interval: {epochs: 2}", "perturb: 1.0", "sampler.perturb", "above 1"),
        ("interval: {epochs: 2}", "intervall: {epochs: 2}", "sampler.intervall", "unknown key"),
        ("interval: {epochs: 2}", "select: best", "sampler.select", "must be one of truncation, tournament"),
        ("interval: {epochs: 2}", "explore: pb", "sampler.explore", "must be one of perturb, pb2"),
        ("interval: {epochs: 2}", "interval: {epoch: 2}", "sampler.interval.epoch", "unknown key"),
        ("interval: {epochs: 2}", "interval: {epochs: 1.5}", "sampler.interval", "no multiple"),
        ("budget:", "pruner: {name: median}\nbudget:", "pruner.name", "copy better ones"),
        ("budget:", "  replicates: 2\nbudget:", "trial.replicates", "is one run"),
        ("budget:", "  patience: {reports: 2}\nbudget:", "trial.patience", "would end them"),
        ("trial:", "  optimizer: {choices: [sgd, adam]}\ntrial:", "space.optimizer", "compiled program"),
        (
            "trial:",
            "  gradient_clip: {choices: [null, 1.0]}\ntrial:",
            "space.gradient_clip",
            "off is another",
        ),
        (
            "trial:",
            "  a: {low: 0, high: 1, when: {learning_rate: 0.1}}\ntrial:",
            "space.a.when",
            "while members",
        ),
        (
            "{metric: validation_accuracy, direction: maximize}",
            "[{metric: a, direction: maximize}, {metric: b, direction: minimize}]",
            "sampler.name",
            "one objective",
        ),
        ("Digits", "digits", "sampler.name", "a function keeps its own"),
    ],
)
def test_what_a_population_can_not_have_is_refused_by_name(old: str, new: str, key: str, what: str) -> None:
    assert TEXT.count(old) == 1
    found = [each for each in problems_in(TEXT.replace(old, new)) if each.key == key]
    assert what in str(only(found))
    assert found[0].line is not None


def test_a_study_without_a_number_of_members_is_refused() -> None:
    text = MINIMAL.replace("budget: {trials: 4}", "budget: {time: 1h}") + "sampler: {name: pbt}\n"
    assert "Add population: 32" in str(only(problems_in(text)))


def test_a_static_hyperparameter_of_the_task_is_refused() -> None:
    text = TEXT.replace("trial:", "  hidden: {choices: [8, 16]}\ntrial:")
    problem = only(validate_against(parse(text, "study.yaml"), DIGITS))
    assert problem.key == "space.hidden"
    assert "compiled program" in str(problem)
    assert "Write hidden in `fixed`" in str(problem)


def test_members_pass_one_decision_at_a_time() -> None:
    description = replace(PLAIN, train_examples=16)
    problem = only(validate_against(parse(TEXT, "study.yaml"), description))
    assert problem.key == "trial.report_every"
    assert "less than a micro-batch" in str(problem)


def test_an_interval_in_another_unit_is_compared_once_the_task_is_known() -> None:
    text = TEXT.replace("{epochs: 2}}", "{examples: 3000}}")
    assert only(validate_against(parse(text, "study.yaml"), PLAIN)).key == "sampler.interval"
    assert validate_against(parse(text.replace("3000", "2874"), "study.yaml"), PLAIN) == []


def test_in_a_fixed_order_members_wait_for_each_other_and_a_lag_is_refused() -> None:
    spec = parse(TEXT + "order: fixed\n", "study.yaml")
    assert order.is_together(spec)
    assert order.problems(spec) == []
    assert not order.is_together(parse(TEXT, "study.yaml"))
    problem = only(order.problems(parse(TEXT + "order: {lag: 16}\n", "study.yaml")))
    assert problem.key == "order"
    assert "without a lag" in str(problem)


def test_in_a_fixed_order_all_members_may_run_at_once() -> None:
    problem = only(order.problems(parse(TEXT + "order: fixed\nmax_concurrent: 2\n", "study.yaml")))
    assert problem.key == "max_concurrent"
    assert "wait for each other" in str(problem)
