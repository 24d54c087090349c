"""Decisions on a population that the rest of its log contradicts."""

from __future__ import annotations

from typing import Any

import pytest

from runlog.integrity.descent import contradictions


def log(**of_change: Any) -> list[dict[str, Any]]:
    """Two members that report at 10; 1 copies 0 there, and both report at 20."""
    change = {
        "trial": 1, "examples": 10, "seen": 12, "source": 0, "before": {"rate": 1.0}, "after": {"rate": 2.0},
    }  # fmt: skip
    return [
        *({"event": "asked", "trial": each, "hyperparameters": {"rate": float(each)}} for each in (0, 1)),
        *({"event": "report", "trial": each, "examples": 10} for each in (0, 1)),
        {"event": "evolved", "judged": [[0, 10], [1, 10]], "changes": [{**change, **of_change}]},
        *({"event": "report", "trial": each, "examples": 20} for each in (0, 1)),
        {"event": "evolved", "judged": [[1, 20]], "changes": []},
    ]


def test_a_lineage_that_fits_its_reports_has_none() -> None:
    assert list(contradictions(log())) == []


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"source": 1}, "copies itself"),
        ({"source": 2}, "copies trial 2, which stands at 0"),
        ({"examples": 20}, "is not decided on there"),
        ({"before": {"rate": 3.0}}, "had other hyperparameters before"),
    ],
)
def test_a_change_that_cannot_have_been_is_named(changed: dict[str, Any], what: str) -> None:
    assert what in " ".join(contradictions(log(**changed)))


def test_a_member_is_decided_on_where_it_stands_and_once() -> None:
    twice = [*log(), {"event": "evolved", "judged": [[1, 20]], "changes": []}]
    assert list(contradictions(twice)) == ["trial 1 is decided on at 20 examples after 20"]
    early = [each for each in log() if each["event"] != "report"]
    assert "stands at 0" in next(contradictions(early))
