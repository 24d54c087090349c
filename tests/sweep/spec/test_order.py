"""The lag of a fixed order follows from the study file, and what cannot be repeated is refused."""

from __future__ import annotations

import pytest

from sweep.errors import SpecError
from sweep.spec.order import idle_notes, lag_of, problems, settled, waits_for_nobody
from sweep.spec.parse import parse
from sweep.spec.resolve import resolved, with_budget_trials
from sweep.spec.schema import Sampler, StudySpec
from tests.sweep.conftest import STUDY


def study_of(*lines: str, trials: int = 48) -> StudySpec:
    return with_budget_trials(parse(STUDY + "".join(f"{line}\n" for line in lines), "study.yaml"), trials)


@pytest.mark.parametrize(
    ("order", "trials", "lag"),
    [
        ("free", 48, None),
        ("fixed", 48, 12),
        ("fixed", 4, 8),
        ("fixed", 10_000, 64),
        ("{lag: 3}", 48, 3),
    ],
)
def test_the_lag_follows_from_the_file(order: str, trials: int, lag: int | None) -> None:
    assert lag_of(study_of(f"order: {order}", trials=trials)) == lag


def test_a_run_keeps_its_lag_whatever_becomes_of_its_budget() -> None:
    before = settled(study_of("order: fixed"))
    assert resolved(before)["order"] == {"lag": 12}
    assert lag_of(settled(study_of("order: fixed", trials=480), 12)) == 12
    assert lag_of(settled(study_of("order: {lag: 5}"), 12)) == 5, "which a resume refuses"


@pytest.mark.parametrize(("pruner", "lag"), [("hyperband", 16), ("median", 8), ("none", 8)])
def test_where_few_trials_train_on_more_may_run(pruner: str, lag: int) -> None:
    assert lag_of(study_of(f"pruner: {{name: {pruner}}}", "order: fixed", trials=24)) == lag
    assert lag_of(study_of(f"pruner: {{name: {pruner}}}", "order: fixed", trials=100)) == 25


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("quick", "order: must be free, fixed or {lag: 16}, got `quick`"),
        ("{lag: 0}", "order.lag: must be at least 1"),
        ("{lags: 3}", "Did you mean `lag`?"),
    ],
)
def test_a_wrong_order_is_named_with_what_may_stand_there(order: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        study_of(f"order: {order}")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("constraints: {train_s: {max: 10m}}", "train_s differs from one run to the next"),
        ("pruner: {name: hyperband, max_resource: auto}", "auto goes by whichever trial completes first"),
        (
            "pruner: {name: patient, patience: 1, wrapped_pruner: {name: hyperband, max_resource: auto}}",
            "pruner.wrapped_pruner.max_resource",
        ),
    ],
)
def test_what_cannot_be_repeated_is_refused_with_the_reason(line: str, said: str) -> None:
    (problem,) = problems(study_of(line, "order: fixed"))
    assert said in str(problem)
    assert problem.line
    assert not problems(study_of(line))


def test_only_a_study_that_goes_by_no_result_waits_for_nobody() -> None:
    random = study_of()
    assert waits_for_nobody(random)
    assert not waits_for_nobody(random.model_copy(update={"sampler": Sampler(name="tpe")}))
    assert not waits_for_nobody(study_of("pruner: {name: median}"))
    assert not waits_for_nobody(study_of("stop: {target: 0.1}"))


def test_lanes_that_the_lag_leaves_idle_are_said() -> None:
    (note,) = idle_notes(study_of("order: {lag: 3}", "pruner: {name: median}"), slots=4)
    assert note == "order.lag lets 3 trials run at once, and there are 4 lanes: the others stay idle"
    assert not list(idle_notes(study_of("order: {lag: 4}", "pruner: {name: median}"), slots=4))
    assert not list(idle_notes(study_of("order: {lag: 3}"), slots=4)), "which waits for nobody"
