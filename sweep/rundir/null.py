"""A run directory that keeps nothing: what a plan is driven with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runlog.lineage import Change
from sweep.rundir.checkpoints import stored_name
from sweep.rundir.history import History
from sweep.vocabulary.trial import Outcome, Report, RunId, Scalar, Snapshot, TrialPlan


class NullWriter:
    """A snapshot whose bytes are not kept."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def write(self, data: bytes) -> None: ...

    def commit(self) -> Snapshot:
        return self._snapshot

    def abandon(self) -> None: ...


class NullCheckpoints:
    """The methods of a run directory's checkpoints that a driver calls; none is kept."""

    def __init__(self) -> None:
        self.kept: list[Snapshot] = []
        self.stored: dict[str, str] = {}

    def begin(self, snapshot: Snapshot) -> NullWriter:
        return NullWriter(replace(snapshot, path=stored_name(snapshot)))

    def sound(
        self, number: int, wanted: Callable[[Snapshot], bool] = lambda _: True
    ) -> dict[RunId, Snapshot]:
        return {}

    def last_sound(self, wanted: Callable[[Snapshot], bool]) -> Snapshot | None:
        return None

    def record_stored(self, path: str, url: str) -> None: ...

    def remove(self, path: str) -> None: ...

    def mark_final(self, number: int, *, at: int | None = None) -> None: ...


class NullRunDir:
    """The methods of a run directory that a driver calls."""

    path = Path("nowhere")
    dirty = False
    opened = 0.0

    def __init__(self) -> None:
        self.history = History()
        self.messages: list[str] = []
        self.checkpoints = NullCheckpoints()

    def record_asked(
        self,
        plan: TrialPlan,
        params: Mapping[str, Scalar],
        notes: Mapping[str, Any] | None = None,
        parent: tuple[str, int] | None = None,
        retries: int | None = None,
        enqueued: str | None = None,
    ) -> None: ...

    def record_known(self, event: str, **fields: Any) -> None: ...

    def record_evolved(self, judged: Sequence[tuple[int, int]], changes: Sequence[Change]) -> None: ...

    def record_reports(self, reports: Iterable[Report], *, lane_s: float | None = None) -> list[Report]:
        return list(reports)

    def record_outcome(self, outcome: Outcome) -> None: ...

    def record_slot(self, slot: str, *, host: str, chip: str) -> None: ...

    def record_lost(self, slot: str, *, host: str, reason: str) -> None: ...

    def write_study(self, text: str) -> None: ...

    def record_message(self, level: str, text: str) -> None:
        self.messages.append(text)

    def write(self) -> None: ...

    def commit(self) -> None: ...

    def prepare(self) -> None: ...

    def maintain(self) -> None: ...
