"""A sampler that counts in Optuna's storage continues as the log says, whatever the storage lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.search.study import Proposal, Study
from sweep.vocabulary.trial import Length, Outcome, TrialState
from tests.sweep.search.specs import with_sampler
from tests.sweep.spec.minimal import spec_of

LENGTH = Length(100, 10)
END = (0.5,)


def told(study: Study, count: int) -> list[Proposal]:
    """So many trials, asked and told."""
    found = []
    for _ in range(count):
        (proposal,) = study.ask(1)
        study.tell(Outcome(proposal.number, TrialState.COMPLETE, END))
        found.append(proposal)
    return found


@pytest.mark.parametrize("kept", [0, 4])
def test_a_sequence_gives_no_point_twice_where_the_log_is_ahead_of_the_journal(
    tmp_path: Path, kept: int
) -> None:
    pytest.importorskip("scipy", reason="pip install 'sweep-mlx[samplers]'")
    spec = with_sampler(spec_of("x: {low: 0.0, high: 1.0}", "y: {low: 0.0, high: 1.0}"), "qmc")
    whole = [proposal.params for proposal in told(Study(spec, None, LENGTH), 8)]
    first = Study(spec, tmp_path / "journal", LENGTH)
    before = told(first, kept)
    first.storage.commit()
    lost = told(first, 6 - kept)  # recorded in the log, and not yet in the journal
    first.storage.close()
    again = Study(spec, tmp_path / "journal", LENGTH)
    for each in lost:
        ended = Outcome(each.number, TrialState.COMPLETE, END)
        again.restore(each.number, each.params, json.loads(json.dumps(each.notes)), (), ended)
    after = told(again, 2)
    again.storage.close()
    assert [proposal.params for proposal in (*before, *lost, *after)] == whole
