"""What a session of a study came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sweep.vocabulary.trial import Outcome, Scalar


@dataclass(frozen=True)
class LaneUse:
    """How lanes were used: the widest turn, and the fraction of lane time that did useful work.

    The fractions are None where no lane time has passed; the second one ends with the last ask.
    """

    widest: int
    busy_fraction: float | None
    busy_fraction_while_asking: float | None


@dataclass(frozen=True)
class DriverResult:
    """How a session ended.

    `told` and `params` hold the trials of all sessions by number; `running` counts those that stay
    resumable; `stopped_by` says why no further trials were asked for before the budget was used, `gave_up`
    why the study stopped with trials unfinished; `paused` that it ended until it is resumed; `ledger` says
    where the session's time went, in seconds.
    """

    told: Mapping[int, Outcome]
    params: Mapping[int, Mapping[str, Scalar]]
    running: int
    interrupted: bool
    stopped_by: str | None
    gave_up: str | None
    lanes: LaneUse
    ledger: Mapping[str, object]
    paused: bool = False
