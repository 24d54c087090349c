"""No point of a finite space is tried twice while others are left, whoever proposes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from sweep.search import samplers
from sweep.search.space import grid
from sweep.search.study import Study
from sweep.vocabulary.trial import Length, Outcome, TrialState
from tests.sweep.search.specs import with_sampler
from tests.sweep.spec.minimal import spec_of

ENTRIES = (
    "a: {choices: [x, y, z]}",
    "b: {low: 1, high: 3, when: {a: [x, y]}}",
    "c: {low: 0.0, high: 0.3, step: 0.1, when: {a: z}}",
    "d: {choices: [1, 2]}",
)
TOTAL = (2 * 3 + 4) * 2


def tried(study: Study, most: int = 1000) -> list[dict[str, object]]:
    """Every point that the study proposes, one trial after another, the same one always the best."""
    found: list[dict[str, object]] = []
    while len(found) < most and (proposals := study.ask(1)):
        params: dict[str, object] = dict(proposals[0].params)
        found.append(params)
        value = 0.0 if params.get("a") == "x" and params.get("b") == 1 else 1.0
        study.tell(Outcome(proposals[0].number, TrialState.COMPLETE, (value,)))
    return found


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "cmaes", "nsgaii"])
def test_every_point_is_tried_once_and_then_the_study_says_so(name: str) -> None:
    for package in samplers.REGISTRY.entries[name].packages:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'sweep-mlx[samplers]'")
    study = Study(with_sampler(spec_of(*ENTRIES), name), None, Length(100, 10))
    points = tried(study)
    assert len({str(sorted(point.items())) for point in points}) == len(points) == TOTAL
    assert study.exhausted_by == f"all {TOTAL} points of the space were tried"


def test_a_sampler_that_draws_all_values_together_tries_every_point_once() -> None:
    spec = with_sampler(spec_of("a: {choices: [1, 2, 3]}", "b: {low: 1, high: 4}"), "tpe", multivariate=True)
    points = tried(Study(spec, None, Length(100, 10)))
    assert len({str(sorted(point.items())) for point in points}) == len(points) == 12


@pytest.mark.parametrize("grouped", [False, True])
def test_conditions_drawn_together_try_every_point_once(grouped: bool) -> None:
    spec = with_sampler(spec_of(*ENTRIES), "tpe", multivariate=True, group=grouped, n_startup_trials=4)
    study = Study(spec, None, Length(100, 10))
    points = tried(study)
    assert len({str(sorted(point.items())) for point in points}) == len(points) == TOTAL


@pytest.mark.parametrize("name", ["tpe", "random", "nsgaii"])
def test_what_a_point_of_the_file_leaves_open_leads_to_a_point_that_was_not_tried(name: str) -> None:
    spec = with_sampler(spec_of("a: {choices: [1, 2]}", "b: {choices: [x, y, z]}"), name)
    spec = spec.model_copy(update={"enqueue": ({"b": "x"}, {"b": "x"}, {"a": 2}, {"b": "y"})})
    study = Study(spec, None, Length(100, 10))
    points = tried(study)
    assert [points[0]["b"], points[1]["b"], points[2]["a"], points[3]["b"]] == ["x", "x", 2, "y"]
    assert len({str(sorted(point.items())) for point in points}) == len(points) == 6


def test_trials_that_run_at_once_are_at_different_points() -> None:
    """As with several workers: all are asked before one is told."""
    spec = with_sampler(spec_of(*ENTRIES), "tpe", n_startup_trials=4)
    study = Study(spec, None, Length(100, 10))
    points = [proposal.params for _ in range(4) for proposal in study.ask(5)]
    assert len({str(sorted(point.items())) for point in points}) == len(points) == TOTAL
    assert study.ask(1) == []


def test_with_repeat_points_are_tried_again() -> None:
    study = Study(with_sampler(spec_of(*ENTRIES), "random", repeat=True), None, Length(100, 10))
    assert len(tried(study, most=3 * TOTAL)) == 3 * TOTAL
    assert study.exhausted_by is None


def test_a_study_that_is_resumed_knows_what_was_tried(tmp_path: Path) -> None:
    spec = with_sampler(spec_of(*ENTRIES), "tpe")
    first = Study(spec, tmp_path / "journal", Length(100, 10))
    points = tried(first, most=7)
    first.storage.commit()
    first.storage.close()
    again = Study(spec, tmp_path / "journal", Length(100, 10))
    points += tried(again)
    again.storage.close()
    assert len({str(sorted(point.items())) for point in points}) == len(points) == TOTAL


def test_invariant_6_points_of_the_grid_that_are_enqueued_are_not_tried_again() -> None:
    spec = with_sampler(spec_of("a: {choices: [1, 2, 3, 4]}", "b: {low: 0.0, high: 0.3, step: 0.1}"), "grid")
    spec = spec.model_copy(update={"enqueue": ({"a": 3, "b": 0.2}, {"a": 1, "b": 0})})
    study = Study(spec, None, Length(100, 10))
    points = tried(study)
    assert points[:2] == [{"a": 3, "b": 0.2}, {"a": 1, "b": 0.0}]
    assert len({str(sorted(point.items())) for point in points}) == len(points) == 16


def test_the_grids_values_are_rounded_once() -> None:
    assert grid(with_sampler(spec_of("a: {low: 0.0, high: 0.3, step: 0.1}"), "grid")) == {
        "a": [0.0, 0.1, 0.2, 0.3]
    }
