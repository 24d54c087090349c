"""One history: studies that begin, share, are killed and resumed, until all have ended."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from sweep.driver import driver as driver_module
from sweep.driver.build import open_study
from sweep.driver.driver import Driver
from sweep.driver.session import finished
from sweep.executors.ray import executor as executor_module
from sweep.executors.ray.executor import RayExecutor
from sweep.executors.ray.nodes import RayNode
from sweep.executors.sharing.broker import LEASE_S, Broker
from sweep.executors.sharing.messages import BrokerError, Share, Standing
from sweep.executors.sharing.seat import FIRST_ANSWER_S, Seat
from sweep.rundir.rundir import RunDir
from sweep.scheduler import State, transition
from sweep.scheduler.messages import Event, Instruction, Tick
from sweep.vocabulary.turn import TaskRef, WorkerSettings
from tests.simulation.history import START, Failed, Silent
from tests.simulation.recipe import Recipe
from tests.simulation.sharing.fakeray import Actor, FakeRay, Machine, Nodes
from tests.simulation.studies import DESCRIPTION, METRIC, study

TICK_S = 0.5
"""How far time goes at once: as often as drivers speak to the broker."""

SETTINGS = WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False)


class Killed(BaseException):
    """A driver's process has died."""


@dataclass(frozen=True)
class Trouble:
    """What goes wrong, when, for how long, and to which."""

    kind: str
    at: float
    for_s: float
    pick: int


TROUBLES = ("broker", "driver", "node", "lost", "suspend", "share")


@dataclass(frozen=True)
class Plan:
    """What one seed decides."""

    seed: int
    machines: Mapping[str, int]
    recipes: tuple[Recipe, ...]
    shares: tuple[Share, ...]
    usable: tuple[tuple[str, ...], ...]
    begins: tuple[float, ...]
    troubles: tuple[Trouble, ...]

    @classmethod
    def of_seed(cls, seed: int) -> Plan:
        """A few small studies on a few machines."""
        chance = random.Random(f"sharing {seed}")
        count = chance.choice((2, 2, 3))
        machines = {f"m{index}": chance.choice((1, 1, 2)) for index in range(chance.choice((1, 2, 3)))}
        names = sorted(machines)
        usable = []
        for _ in range(count):
            some = chance.sample(names, chance.randint(1, len(names)))
            usable.append(tuple(names) if chance.random() < 0.7 else tuple(sorted(some)))
        return cls(
            seed,
            machines,
            tuple(_recipe(chance) for _ in range(count)),
            tuple(_share(chance) for _ in range(count)),
            tuple(usable),
            tuple(chance.choice((0.0, 0.0, 3.0, 8.0)) for _ in range(count)),
            tuple(
                Trouble(
                    chance.choice(TROUBLES),
                    chance.uniform(0.0, 40.0),
                    chance.choice((0.0, 1.0, 4.0, 10.0, 20.0)),
                    chance.randint(0, 99),
                )
                for _ in range(chance.choice((0, 0, 1, 2, 4, 7)))
            ),
        )


def _recipe(chance: random.Random) -> Recipe:
    return Recipe(
        0,
        trials=chance.choice((1, 2, 3, 4)),
        replicates=chance.choice((1, 1, 1, 2)),
        reports=chance.choice((1, 2, 4)),
        programs=chance.choice((1, 1, 2)),
        lanes=chance.choice((1, 1, 2)),
        run_s=chance.choice((1.0, 4.0, 10.0)),
        transfer_s=chance.choice((0.0, 0.5, 2.0)),
        every_s=chance.choice((0.5, 5.0, 60.0)),
        keep_best=chance.choice((0, 1)),
    )


def _share(chance: random.Random) -> Share:
    return Share(
        chance.choice((0, 0, 0, 1)),
        chance.choice((1.0, 1.0, 2.0)),
        chance.choice((None, None, 1, 9)),
        give_up_within_s=chance.choice((1.0, 30.0)),
    )


@dataclass
class Participant:
    """One study: its run directory, and its driver while that lives."""

    name: str
    recipe: Recipe
    share: Share
    nodes: tuple[str, ...]
    root: Path
    begins: float
    sessions: int = 0
    ended: bool = False
    silent_until: float = 0.0
    suspended_until: float = 0.0
    driver: Driver | None = None
    seat: Seat | None = None
    run: RunDir | None = None
    closing: ExitStack = field(default_factory=ExitStack)
    kill_in: int | None = None
    stays_dead_s: float = 0.0
    finish: Callable[[], None] = lambda: None
    dead: list[object] = field(default_factory=list)
    """Sessions that were killed: what their ends would do is not done while the history goes."""


class Line:
    """The way of one study to the broker, on which answers are lost."""

    def __init__(self, history: History, study: Participant) -> None:
        self.history = history
        self.study = study

    def call(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        history = self.history
        if history.broker is None:
            raise BrokerError("the broker is dead")
        answer = history.broker.answer(said, history.ray.now)
        if history.ray.now < self.study.silent_until:
            raise BrokerError("the answer is lost")
        return answer

    def close(self) -> None: ...


class History:
    """All studies of a plan, in one thread."""

    def __init__(self, plan: Plan, root: Path) -> None:
        self.plan = plan
        self.ray = FakeRay({name: Machine(name, slots) for name, slots in plan.machines.items()})
        self.ray.before_call = self._called
        self.broker: Broker | None = None
        self.broker_at = 0.0
        self.brokers = 0
        self.answered = 0.0
        self.were_alone = False
        self.transitions = 0
        self.ticks = 0
        self.held_s: dict[str, float] = {}
        self.together_s: dict[str, float] = {}
        """The same while all studies run."""
        self.studies = [
            Participant(
                f"study-{index}", recipe, plan.shares[index], plan.usable[index], root / str(index), begins
            )
            for index, (recipe, begins) in enumerate(zip(plan.recipes, plan.begins, strict=True))
        ]
        self.stepping: Participant | None = None
        self.troubles = sorted(plan.troubles, key=lambda each: each.at)

    @property
    def most_ticks(self) -> int:
        """Alone on one slot every study would have ended by then, twice over."""
        work_s = sum(
            each.trials * each.replicates * (each.run_s + each.reports * (2.0 + each.transfer_s))
            for each in self.plan.recipes
        )
        return round((4 * work_s + 60.0 * (2 + len(self.troubles)) + 200.0) / TICK_S)

    def run(self) -> None:
        """Until all have ended. Raises Failed."""
        most = self.most_ticks
        with self._patched():
            try:
                while not all(each.ended for each in self.studies):
                    if self.ticks > most:
                        raise Failed(f"no end after {self.ticks} ticks: {self.standing()}")
                    self._tick()
            finally:
                for each in self.studies:
                    each.closing.close()

    def standing(self) -> str:
        """How the studies stand, for messages."""
        queue = () if self.broker is None else self.broker.queue(self.ray.now)
        return f"{[(each.name, each.ended, each.sessions) for each in self.studies]}, {queue}"

    def _tick(self) -> None:
        self.ticks += 1
        self.ray.advance(TICK_S)
        while self.troubles and self.troubles[0].at <= self.ray.now:
            self._happen(self.troubles.pop(0))
        if self.broker is None and self.ray.now >= self.broker_at:
            self.brokers += 1
            self.broker = Broker(f"broker-{self.brokers}", self.ray.now)
        for each in self.studies:
            if not each.ended and self.ray.now >= max(each.begins, each.suspended_until):
                self._step(each)
        self._check()

    def _step(self, each: Participant) -> None:
        self.stepping = each
        try:
            if each.driver is None:
                self._begin(each)
            if each.driver is not None and each.seat is not None:
                each.seat.exchange()
                for _ in range(2):  # an answer's consequences, and theirs
                    if not each.driver.done:
                        each.driver.step()
                if each.driver.done:
                    self._end(each)
        except Killed:
            self._die(each)
        finally:
            self.stepping = None

    def _begin(self, each: Participant) -> None:
        each.sessions += 1
        each.closing = ExitStack()
        spec = study(each.recipe)
        run = each.run = RunDir.open(each.root, spec.name, clock=lambda: START + self.ray.now)
        each.closing.callback(run.release)
        if finished(spec, run):
            each.closing.close()
            each.ended = True
            return
        run.record_opened(objectives=[(METRIC, "minimize")], choices={}, trials=spec.budget.trials, lag=None)
        run.commit()
        search = open_study(spec, DESCRIPTION, run)
        each.closing.callback(search.storage.close)
        standing = Standing(
            each.name, f"{each.name}-{each.sessions}", each.name, "a user", "here", each.share
        )
        each.seat = Seat(standing, Line(self, each), clock=self.ray.monotonic)
        each.seat.begin = lambda: None  # type: ignore[method-assign]  # no thread: a tick asks
        executor = RayExecutor(SETTINGS, Nodes(self.ray, each.nodes), name=each.name, seat=each.seat)
        driver = Driver(
            spec=spec,
            description=DESCRIPTION,
            run=run,
            study=search,
            executor=executor,
            progress=Silent(),
            clock=self.ray.monotonic,
        )
        session = driver.session()
        session.__enter__()
        each.driver = driver

        def finish() -> None:
            session.__exit__(None, None, None)
            executor.close()

        each.finish = finish
        each.dead.append(session)

    def _end(self, each: Participant) -> None:
        each.finish()
        assert each.run is not None
        each.run.close("finished")
        each.closing.close()
        self.ray.end_study(each.name)
        each.driver, each.ended = None, True

    def _die(self, each: Participant) -> None:
        self.ray.end_study(each.name)
        each.closing.close()
        each.driver, each.kill_in = None, None
        each.begins = self.ray.now + each.stays_dead_s

    def _called(self) -> None:
        """A driver calls Ray; it may die just then."""
        each = self.stepping
        if each is not None and each.kill_in is not None:
            each.kill_in -= 1
            if each.kill_in < 0:
                raise Killed

    def _happen(self, trouble: Trouble) -> None:
        each = self.studies[trouble.pick % len(self.studies)]
        until = self.ray.now + trouble.for_s
        match trouble.kind:
            case "broker":
                self.broker, self.broker_at = None, until
            case "driver" if each.driver is not None:
                each.kill_in, each.stays_dead_s = trouble.pick % 7, trouble.for_s
            case "node":
                self.ray.end_node(
                    sorted(self.ray.machines)[trouble.pick % len(self.ray.machines)], trouble.for_s
                )
            case "lost":
                each.silent_until = until
            case "suspend":
                each.suspended_until = until
            case "share" if each.seat is not None:
                each.share = Share(trouble.pick % 3, 1.0 + trouble.pick % 2)
                each.seat.ask_for(each.share)
            case _:
                pass

    def _check(self) -> None:
        """No slot is held twice: no driver has a worker that waits for another's to end.

        Where a driver is suspended, or long without an answer, it may have: Ray lets that worker wait.
        """
        if self.broker is not None:
            self.answered = self.ray.now
        self.were_alone = self.were_alone or self.ray.now - self.answered >= FIRST_ANSWER_S
        suspended = self.were_alone or any(each.kind in ("suspend", "lost") for each in self.plan.troubles)
        held: Counter[str] = Counter()
        for each in self.studies:
            if each.driver is not None and each.seat is not None:
                held.update(+each.seat._held)
                held_s = TICK_S * (+each.seat._held).total()
                self.held_s[each.name] = self.held_s.get(each.name, 0.0) + held_s
                if all(other.driver is not None for other in self.studies):
                    self.together_s[each.name] = self.together_s.get(each.name, 0.0) + held_s
        for name, machine in self.ray.machines.items():
            running = self.ray.running(name)
            if running > machine.slots:
                raise Failed(f"{name} has {running} workers in {machine.slots} slots")
            workers = sum(actor.node.name == name and not actor.dead for actor in self.ray.actors)
            if max(held[name], workers) > machine.slots and not suspended:
                raise Failed(
                    f"{name} has {machine.slots} slots, and studies hold {held[name]}, {workers} "
                    f"workers: {self.standing()}"
                )

    @contextmanager
    def _patched(self) -> Iterator[None]:
        """The executor runs on this Ray and its time; every state is validated."""
        recipes = {each.name: each.recipe for each in self.studies}

        def start_actor(node: RayNode, name: str, *_: object) -> Actor:
            study = name.partition("/")[0]
            return self.ray.start(study, node, recipes[study])

        def watched(state: State, event: Event, now: float) -> list[Instruction]:
            self.transitions += 1
            instructions = transition(state, event, now)
            if instructions or not isinstance(event, Tick):
                state.validate()
            return instructions

        def at_once(call: Callable[[], Any], *, late: Callable[[Any], None]) -> Any:
            return call()

        with (
            mock.patch.multiple(
                executor_module,
                ray=self.ray,
                time=self.ray,
                start_actor=start_actor,
                call_with_timeout=at_once,
            ),
            mock.patch("sweep.executors.ray.calls.ray", self.ray),
            mock.patch.object(driver_module, "transition", watched),
        ):
            yield


def settle(history: History) -> None:
    """After the end nothing is left: no worker, and once leases are over no study in the queue."""
    if living := [actor for actor in history.ray.actors if not actor.dead]:
        raise Failed(f"workers are left: {living}")
    if history.broker is not None and (left := history.broker.queue(history.ray.now + LEASE_S + 1.0)):
        raise Failed(f"slots are left with studies that have ended: {left}")
