"""What one seed decides, as a value: a study, its workers, and what goes wrong at which step."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass, field, fields, replace
from math import exp, log
from typing import Any, Self


@dataclass(frozen=True)
class Fault:
    """Something that happens at the `at`th wait for events of all sessions together; `pick` says to which."""

    kind: str
    at: int
    pick: int = 0


@dataclass(frozen=True)
class Death:
    """How a session's disk fails: at its `at`th change; `share` of what was not durable is kept."""

    kind: str
    at: int
    share: float = 0.0


@dataclass(frozen=True)
class Edit:
    """What a person changes between two sessions; `pick` says to what."""

    kind: str
    pick: int = 0


@dataclass(frozen=True)
class Asked:
    """What a person asks of the study at the `at`th wait of all sessions together; `pick` says of what."""

    verb: str
    at: int
    pick: int = 0


FAULTS = {
    "worker": 8,
    "node": 4,
    "hang": 4,
    "double": 6,
    "stale": 4,
    "error": 3,
    "memory": 2,
    "run": 2,
    "outage": 2,
    "limit": 1,
    "corrupt": 3,
    "clock": 2,
    "pause": 2,
    "interrupt": 2,
    "abort": 1,
    "kill": 3,
}
"""What can happen at a step, and how often each is chosen."""

EDITS = {
    "budget": 4,
    "retry": 3,
    "remove": 2,
    "lanes": 2,
    "slots": 2,
    "concurrency": 1,
    "checkpoints": 1,
    "bounds": 2,
    "choices": 2,
    "entry": 2,
    "fix": 1,
}
"""What is changed between sessions, and how often each is chosen."""

REQUESTS = {
    "prune": 5,
    "finish": 6,
    "budget": 3,
    "enqueue": 5,
    "pause": 3,
    "stop": 2,
    "lanes": 2,
    "concurrency": 1,
    "keep": 1,
    "tag": 1,
}
"""What is asked while a study runs, and how often each is chosen."""

HARMLESS_REQUESTS = ("pause", "stop", "lanes", "keep", "tag")
"""Those that change no trial."""

SPACE_EDITS = ("bounds", "choices", "entry", "fix")
"""Edits of the space: its range, its choices, an entry added, one fixed."""

HARMLESS_EDITS = ("budget", "lanes", "slots", "concurrency", "checkpoints")
"""Edits that change no trial of a study in a fixed order."""

DEATHS = {"kill": 6, "power": 6, "full": 2, "fsync": 1}
"""How a disk fails, and how often each is chosen."""


@dataclass(frozen=True)
class Recipe:
    """One history; every field has a least value, so that it can be made smaller."""

    seed: int
    trials: int = 1
    replicates: int = 1
    reports: int = 1
    programs: int = 1
    bounds: int = 0
    entry: bool = False
    fixed: int = 0
    lanes: int | str = 1
    sampler: str = "random"
    pruner: str = "none"
    max_concurrent: int | str = "auto"
    timeout_s: float | None = None
    patience: int | None = None
    keep_best: int = 0
    keep_best_report: bool = False
    every_s: float = 60.0
    slots: int = 1
    hosts: int = 1
    run_s: float = 10.0
    jitter: float = 0.0
    round_trip_s: float = 0.0
    transfer_s: float = 0.0
    kinds: int = 1
    raise_to: int = 0
    in_memory: bool = False
    retry: int = 2
    stop_after: int | None = 5
    lag: int | None = None
    interval: int = 0
    together: bool = False
    faults: tuple[Fault, ...] = field(default=())
    deaths: tuple[Death, ...] = field(default=())
    edits: tuple[Edit, ...] = field(default=())
    requests: tuple[Asked, ...] = field(default=())

    def as_text(self) -> str:
        """One line that `of_text` reads back; what has its least value is left out."""
        least = type(self)(self.seed)
        found = {name: value for name, value in asdict(self).items() if value != getattr(least, name)}
        return json.dumps({"seed": self.seed, **found}, separators=(",", ":"))

    @property
    def edits_space(self) -> bool:
        """Whether the space is another one in some session."""
        return any(each.kind in SPACE_EDITS for each in self.edits)

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Read back what `as_text` wrote."""
        found: dict[str, Any] = json.loads(text)
        found["faults"] = tuple(Fault(**each) for each in found.get("faults", ()))
        found["deaths"] = tuple(Death(**each) for each in found.get("deaths", ()))
        found["edits"] = tuple(Edit(**each) for each in found.get("edits", ()))
        found["requests"] = tuple(Asked(**each) for each in found.get("requests", ()))
        assert found.keys() <= {each.name for each in fields(cls)}
        return cls(**found)

    @classmethod
    def of_seed(cls, seed: int) -> Self:
        """The history of a seed: small studies mostly, as bugs need few trials; some are of a population."""
        found = cls._of_trials(seed)
        return found._as_population() if seed % 6 == 5 else found

    @classmethod
    def of_population(cls, seed: int) -> Self:
        """The history of a seed, its trials members of a population."""
        return cls._of_trials(seed)._as_population()

    @classmethod
    def of_population_in_order(cls, seed: int) -> Self:
        """A history of a population in a fixed order: its members wait for each other."""
        found = cls._of_trials(seed)._as_population(together=True)
        return replace(
            found,
            raise_to=0,
            timeout_s=None,
            retry=2,
            max_concurrent="auto",
            faults=tuple(each for each in found.faults if each.kind != "limit"),  # all must be there at once
            edits=tuple(each for each in found.edits if each.kind in ("lanes", "slots", "checkpoints")),
            requests=tuple(each for each in found.requests if each.verb in HARMLESS_REQUESTS),
        )

    def _as_population(self, *, together: bool = False) -> Self:
        """The same with trials that copy each other; what a population can not have is left out."""
        chance = random.Random(f"population {self.seed}")
        return replace(
            self,
            trials=chance.choice((2, 4, 4, 6, 8, 9)),
            reports=chance.choice((2, 3, 4, 6)),
            interval=chance.choice((1, 1, 1, 2)),
            together=together,
            lanes=chance.choice((1, 2, 4, "auto", "auto")),
            sampler="pbt",
            pruner="none",
            replicates=1,
            programs=1,
            fixed=1,
            patience=None,
            edits=tuple(each for each in self.edits if each.kind not in SPACE_EDITS),
        )

    @classmethod
    def _of_trials(cls, seed: int) -> Self:
        chance = random.Random(seed)
        slots = chance.choice((1, 1, 2, 2, 3, 4))
        in_memory = chance.random() < 0.15
        return cls(
            seed=seed,
            trials=chance.choice((1, 2, 2, 3, 3, 4, 5, 7)),
            replicates=chance.choice((1, 1, 1, 1, 2, 3)),
            reports=chance.choice((1, 1, 2, 2, 3, 4)),
            programs=chance.choice((1, 1, 1, 2, 3)),
            lanes=chance.choice((1, 1, 2, 3, 4, "auto")),
            sampler=chance.choice(("random", "random", "random", "random", "tpe", "grid")),
            pruner=chance.choice(("none",) * 5 + ("median", "successive_halving", "hyperband", "patient")),
            max_concurrent=chance.choice(("auto", "auto", 1, 2, 4)),
            timeout_s=chance.choice((None,) * 5 + (15.0, 60.0)),
            patience=chance.choice((None,) * 12 + (2,)),
            keep_best=chance.choice((0, 1, 3)),
            keep_best_report=chance.random() < 0.2,
            every_s=chance.choice((0.5, 5.0, 60.0)),
            slots=slots,
            hosts=chance.randint(1, slots),
            run_s=chance.choice((0.01, 10.0, 100.0)),
            jitter=chance.choice((0.0, 0.3, 3.0)),
            round_trip_s=chance.choice((0.0, 0.0, 0.01, 1.0)),
            transfer_s=chance.choice((0.0, 0.1, 5.0)),
            kinds=chance.choice((1, 1, 2)),
            raise_to=chance.choice((0, 0, 0, 2, 4)),
            in_memory=in_memory,
            faults=_faults(chance, in_memory),
            deaths=() if in_memory else _deaths(chance),
            edits=() if in_memory else _edits(chance),
            retry=chance.choice((2, 2, 0, 1)),
            stop_after=None if in_memory else chance.choice((5, 5, 1, 2, None)),
            requests=() if in_memory else _requests(chance),
        )

    @classmethod
    def in_order_of_seed(cls, seed: int) -> Self:
        """A history of a study in a fixed order, with trials enough for its sampler to learn from."""
        found = cls._of_trials(seed)
        chance = random.Random(f"in order {seed}")
        return replace(
            found,
            lag=chance.choice((1, 2, 3, 5, 8)),
            trials=chance.choice((6, 9, 14)),
            reports=chance.choice((1, 2, 4, 9)),
            sampler=chance.choice(("tpe",) * 4 + ("random", "grid")),
            pruner=chance.choice(
                ("none", "median", "successive_halving", "hyperband", "hyperband", "hyperband", "patient")
            ),
            timeout_s=None,
            retry=2,
            edits=tuple(each for each in found.edits if each.kind in HARMLESS_EDITS),
            requests=tuple(each for each in found.requests if each.verb in HARMLESS_REQUESTS),
        )


def _faults(chance: random.Random, in_memory: bool) -> tuple[Fault, ...]:
    kinds = {kind: share for kind, share in FAULTS.items() if not (in_memory and kind in SESSION_ENDS)}
    count = chance.choice((0, 1, 1, 2, 3, 5, 8))
    found = chance.choices(list(kinds), list(kinds.values()), k=count)
    return tuple(Fault(kind, round(exp(chance.uniform(0, log(80)))), chance.randint(0, 99)) for kind in found)


OUTAGE = 30
"""The most steps in a row that all turns fail."""

SESSION_ENDS = ("interrupt", "abort", "kill")
"""Faults that end a session: nothing resumes what was only in memory."""


def _edits(chance: random.Random) -> tuple[Edit, ...]:
    count = chance.choice((0, 0, 0, 1, 1, 2))
    found = chance.choices(list(EDITS), list(EDITS.values()), k=count)
    return tuple(Edit(kind, chance.randint(0, 99)) for kind in found)


def _requests(chance: random.Random) -> tuple[Asked, ...]:
    count = chance.choice((0, 0, 1, 2, 4, 8))
    found = chance.choices(list(REQUESTS), list(REQUESTS.values()), k=count)
    return tuple(Asked(verb, chance.randint(1, 25), chance.randint(0, 99)) for verb in found)


def _deaths(chance: random.Random) -> tuple[Death, ...]:
    count = chance.choice((0, 0, 1, 1, 1, 2))
    found = chance.choices(list(DEATHS), list(DEATHS.values()), k=count)
    return tuple(Death(kind, round(exp(chance.uniform(0, log(150)))), chance.random()) for kind in found)
