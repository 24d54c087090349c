"""The sessions of one study, from the first to the one that comes to its end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from runlog.lineage import Lineage
from sweep.api.run import GAVE_UP, PAUSED
from sweep.driver import driver as driver_module
from sweep.driver.build import open_study
from sweep.driver.driver import Driver
from sweep.driver.editing import record_edit
from sweep.driver.monitor.progress import StudyView
from sweep.driver.session import check_same_study, finished
from sweep.driver.steering.settings import in_effect
from sweep.errors import RunDirError
from sweep.rundir import tables_thread
from sweep.rundir.null import NullRunDir
from sweep.rundir.rundir import RunDir
from sweep.scheduler import State, transition
from sweep.scheduler.messages import Event, Instruction, Tick
from sweep.search.study import Study
from sweep.spec.edited.edits import values_of
from sweep.spec.plans import longest
from sweep.spec.resolve import resolved_text
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import RunId
from tests.simulation.disk import SimulatedDisk
from tests.simulation.edits import edit
from tests.simulation.executor import FaultyExecutor, Killed
from tests.simulation.recipe import OUTAGE, Death, Recipe
from tests.simulation.steering import People
from tests.simulation.studies import DESCRIPTION, EVERY, METRIC, advanced, study, value, value_of

START = 1_700_000_000.0
MOST_IDLE = 60
"""So often in a row nothing may happen: longer than any time-out."""


class Failed(AssertionError):
    """A history that did not go as it must."""


class Silent:
    """Shows nothing."""

    def note(self, text: str) -> None: ...

    def tip(self, text: str) -> None: ...

    def stage(self, text: str) -> None: ...

    def show(self, view: StudyView) -> None: ...

    def close(self) -> None: ...


@dataclass
class History:
    """One history as it goes: its clocks, its disk, and what the checks ask of it in the end."""

    recipe: Recipe
    root: Path
    steps: int = 0
    sessions: int = 0
    transitions: int = 0
    wall_s: float = START
    to_blame: set[int] = field(default_factory=set)
    ends: list[str] = field(default_factory=list)
    asked_before_last: int = 0
    last_budget: int = 0
    told: dict[int, object] = field(default_factory=dict)
    state: State | None = None
    first_space: dict[str, Any] | None = None
    lineage: Lineage | None = None
    """Of a population, by the log in the end."""

    def __post_init__(self) -> None:
        self.disk = SimulatedDisk(self.root)
        self.people = People(self, self.disk)
        self.current = self.recipe
        """The recipe as edits have made it."""

    @property
    def most_steps(self) -> int:
        """How many steps a session may take once nothing more goes wrong, and beyond the last fault."""
        recipe = self.current
        last = max((fault.at for fault in recipe.faults), default=0) + OUTAGE
        runs = (recipe.trials + recipe.raise_to) * recipe.replicates
        return last + 100 + 20 * runs * (recipe.reports + 1) * (1 + len(recipe.faults))

    def run(self) -> None:
        """Session after session. Raises AssertionError where something does not hold."""
        recipe, deaths, edits = self.recipe, iter(self.recipe.deaths), list(self.recipe.edits)
        most = 3 + len(recipe.deaths) + 2 * len(recipe.faults) + len(edits) + 3 * len(recipe.requests)
        while True:
            self.sessions += 1
            if self.sessions > most + self.ends.count(GAVE_UP):
                raise Failed(f"session after session, and no end: {self.ends}")
            death = next(deaths, None)
            end = self._session(death)
            self.ends.append(end)
            if edits:
                edit(self, edits.pop(0))
            elif end in ("finished", "finished before") and death is None and not self.people.answer_left():
                return

    def spec(self) -> StudySpec:
        """The study as it is in this session: its budget may be raised after the first."""
        more = self.current.raise_to if self.sessions > 1 else 0
        self.last_budget = self.current.trials + more
        return study(self.current, trials=self.last_budget)

    def _session(self, death: Death | None) -> str:
        if self.recipe.in_memory:
            return self._in_memory()
        self.disk.begin(death)
        try:
            with self.disk.installed():
                return self._on_disk()
        except Killed:
            return "killed"
        except KeyboardInterrupt:
            return "stopped at once"
        except RunDirError as error:
            if death is None or death.kind not in ("full", "fsync"):
                raise Failed(f"a session ended by itself: {error}") from error
            return "refused by the disk"
        finally:
            self.disk.reboot()

    def _in_memory(self) -> str:
        spec = self.spec()
        search = Study(spec, None, longest(spec, DESCRIPTION))
        run = NullRunDir()
        self._drive(spec, run, search)
        self.lineage = run.history.study.lineage if self.recipe.sampler == "pbt" else None
        return "finished"

    def _on_disk(self) -> str:
        written = self.spec()
        with RunDir.open(self.root, written.name, clock=self.wall) as run:
            spec = in_effect(written, run, lambda text: None)
            self.last_budget = spec.budget.trials or 0
            if run.history.study.steered.paused is not None:
                self.people.resume(run, spec)
                run.commit()
                return "resumed"
            if finished(spec, run):
                self.asked_before_last = len(run.history.study.trials)
                return "finished before"
            if self.recipe.edits_space or self.recipe.requests:
                if run.study_text is None:
                    self.first_space = values_of(spec)
                check_same_study(spec, run)
                record_edit(spec, run, lambda text: None)
                run.write_study(resolved_text(spec))
            run.record_opened(
                objectives=[(METRIC, "minimize")], choices={}, trials=spec.budget.trials, lag=self.recipe.lag
            )
            run.commit()
            self.asked_before_last = len(run.history.study.trials)
            search = open_study(spec, DESCRIPTION, run)
            try:
                end = self._drive(spec, run, search)
            finally:
                search.storage.close()
            # A request may have changed it on the way.
            self.last_budget = in_effect(written, run, lambda text: None).budget.trials or 0
            run.close(end)
            return end

    def _drive(self, spec: StudySpec, run: RunDir | NullRunDir, search: Study) -> str:
        executor = FaultyExecutor(
            self.current,
            first=self.steps,
            interrupt=lambda: driver.interrupt(),
            limit=lambda most: driver.limit_live(most),
            jump=self._jump,
            kill=self.disk.die,
            to_blame=self.to_blame,
            ask=lambda asked: self.people.ask(asked, spec),
        )
        self._executor = executor
        driver = Driver(
            spec=spec,
            description=DESCRIPTION,
            run=run,
            study=search,
            executor=executor,
            progress=Silent(),
            clock=executor.clock,
        )
        first = self.steps
        try:
            with self._watched(first):
                result = driver.run()
        finally:
            executor.close()
            self.steps = executor.steps
            self.wall_s += executor.now
        self.told = dict(result.told)
        if result.gave_up is not None:
            return GAVE_UP
        if result.paused:
            return PAUSED
        return "interrupted" if result.interrupted else "finished"

    def expected(self, log: list[dict[str, Any]]) -> dict[tuple[int, int, int], float]:
        """What each run must have reported, by what the log had decided until then."""
        last = self.lineage
        if last is not None:
            self.lineage = Lineage(last.asked)
        found = {}
        for record in log:
            if record["event"] == "evolved" and self.lineage is not None:
                self.lineage.add(record)
            elif record["event"] == "report":
                run = RunId(record["trial"], record["replicate"])
                found[*run, record["examples"]] = self.value(run, record["examples"])
        self.lineage = last
        return found

    def value(self, run: RunId, examples: int) -> float:
        """What a run reports at a boundary, by what is decided by now."""
        if self.lineage is None:
            return value(run, examples)
        return value_of(self.state_of(run.trial, examples))

    def state_of(self, number: int, examples: int) -> str:
        """A member's state at a boundary, trained alone by its lineage."""
        assert self.lineage is not None
        state = ""
        for boundary in range(EVERY, examples + 1, EVERY):
            stretches = self.lineage.until(number, examples)
            stretch = next(each for each in stretches if each.until >= boundary)
            state = advanced(state, stretch, number, boundary)
        return state

    def wall(self) -> float:
        """The wall clock, which may be set to another time at any moment."""
        return self.wall_s

    def _jump(self, seconds: float) -> None:
        self.wall_s += seconds

    @contextmanager
    def _watched(self, first: int) -> Iterator[None]:
        """The state is validated after every transition, and steps are counted."""

        def watched(state: State, event: Event, now: float) -> list[Instruction]:
            self.state = state
            self.transitions += 1
            instructions = transition(state, event, now)
            if instructions or not isinstance(event, Tick):
                state.validate()
            if self._executor.idle > MOST_IDLE:
                raise Failed("nothing is to happen any more, and the study has not ended")
            if self._executor.steps - first > self.most_steps:
                raise Failed(f"no end after {self._executor.steps - first} steps of a session")
            return instructions

        with mock.patch.object(driver_module, "transition", watched):
            yield


class _NoThread:
    """In the place of the thread that derives tables."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def submit(self, *_: object, **__: object) -> None: ...

    def shutdown(self, **__: object) -> None: ...


def _nothing(*_: object, **__: object) -> list[str]:
    return []


@contextmanager
def without_tables() -> Iterator[None]:
    """Tables are derived from the log by pandas, which takes longer than a whole history."""
    with mock.patch.multiple(
        tables_thread, refresh_metrics=_nothing, write_trials=_nothing, ThreadPoolExecutor=_NoThread
    ):
        yield


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one history, in memory where there is such a place."""
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=fast if fast.is_dir() else None, prefix="simulation-") as path:
        yield Path(path)
