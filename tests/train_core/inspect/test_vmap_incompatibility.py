"""What stops lanes is found before a study starts: the operation and the task's line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import pytest

from tests.train_core.conftest import BASE, Small
from train_core import Mean, describe


class With(Small):
    """Small with something added to its loss."""

    def __init__(self, term: Callable[[mx.array, Any], mx.array]) -> None:
        self.term = term

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        values, weights = super().loss(model, batch, hp)
        return Mean(values + self.term(batch["x"], model), weights)


native = mx.checkpoint


def by_another_name(x: mx.array, model: Any) -> mx.array:
    total: mx.array = native(mx.sin)(x @ model.first.weight.T).sum(-1)
    return total


def waiting(x: mx.array, model: Any) -> mx.array:
    (found,) = mx.depends([x @ model.first.weight.T], [x])
    total: mx.array = found.sum(-1)
    return total


def segments(x: mx.array, model: Any) -> mx.array:
    weight = mx.stop_gradient(model.first.weight.T)
    (found,) = mx.segmented_mm(x, weight, mx.array([[0, x.shape[1]]], mx.uint32))
    return found.sum(-1)


def assigned(x: mx.array, model: Any) -> mx.array:
    y: mx.array = x * model.out.weight.sum()
    y[::2] = 1.0
    return (x * y).sum(-1)


def mapped(x: mx.array, model: Any) -> mx.array:
    image = mx.concatenate([x, x], axis=1)[:, :, None]
    return mx.conv1d(image, model.first.weight[:, :3, None], 2, 1, 1).sum((1, 2))


@pytest.mark.parametrize(
    ("term", "operation", "reason"),
    [(waiting, "mx.depends", "Depends"), (segments, "mx.segmented_mm", "SegmentedMM")],
)
def test_the_operation_and_its_line_are_named(term: Any, operation: str, reason: str) -> None:
    facts = describe(With(term), BASE)
    assert facts["vmap"] is False
    line = term.__code__.co_firstlineno
    named = facts["vmap_incompatibility"].split(":")
    assert named[0] == __file__
    assert 1 <= int(named[1]) - line <= 2
    assert named[2].strip() == operation
    assert reason in facts["vmap_incompatibility"]


def test_checkpoint_by_another_name_is_named() -> None:
    found = describe(With(by_another_name), BASE)["vmap_incompatibility"]
    assert found.startswith("mx.checkpoint, which must be called by that name")


def test_an_operation_that_maps_wrongly_without_an_error_is_found() -> None:
    facts = describe(With(assigned), BASE)
    assert facts["vmap"] is False
    assert "assignments with a step" in facts["vmap_incompatibility"]


def test_what_a_rule_covers_is_compatible_and_named() -> None:
    facts = describe(With(mapped), BASE)
    assert facts["vmap_incompatibility"] is None
    assert facts["lane_rules"] == ["arithmetic", "conv1d"]
    assert describe(Small(), BASE)["lane_rules"] == ["arithmetic"]
