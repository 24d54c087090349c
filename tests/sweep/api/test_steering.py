"""What a person types to steer a run: words that mean nothing are refused before anything is asked."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from sweep.api.steering.verbs import texts
from sweep.cli import app
from sweep.errors import SweepError


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["budget.trials="], r"budget\.trials has no value\. .*budget\.trials=null takes one away"),
        (["budget.trials= "], "has no value"),
        (["budget.trials"], "is no NAME=VALUE"),
        (["lanes=2", "lanes=4"], "lanes is given twice: 2 and 4. Give it once"),
    ],
)
def test_words_that_say_no_value_are_refused(words: list[str], why: str) -> None:
    with pytest.raises(SweepError, match=why):
        texts(words, "budget.trials=200")
    assert texts(["budget.trials=null", "budget.time=2h"], "") == {
        "budget.trials": None,
        "budget.time": "2h",
    }


@pytest.mark.parametrize("verb", ["note", "tag"])
def test_a_trial_without_what_to_write_on_it_is_refused(verb: str) -> None:
    found = CliRunner().invoke(app, [verb, "runs/none", "12"])
    assert found.exit_code == 2
    assert "12 is a trial's number: give" in found.stderr
