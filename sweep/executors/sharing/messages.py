"""What a driver says to the broker, and what it answers: plain values that travel as JSON.

No moment in time is in them, only how long ago things were: clocks may differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Self

from sweep.errors import SweepError

VERSION = 1
"""Of what is said; another one is not understood."""


class BrokerError(SweepError):
    """The broker is not there, or cannot understand what is said; the study trains without it."""


@dataclass(frozen=True)
class Share:
    """How a study wants to share, as its file says; `give_up_within_s` is how long it may take to save."""

    priority: int = 0
    weight: float = 1.0
    max_slots: int | None = None
    give_up_within_s: float = 30.0


@dataclass(frozen=True)
class Standing:
    """A study as its driver sees it.

    `study` tells it from all others, `session` from its own earlier ones. `nodes` are the slots of each node
    that it may use, `held` those that it has, `gives` those of them that it is giving back, `idle` those that
    do nothing; `wants` is how many it has work for. It came `age_s` ago, and ends in about `ends_in_s`, None
    where that is unknown.
    """

    study: str
    session: str
    name: str
    user: str
    host: str
    share: Share = Share()
    nodes: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    gives: Mapping[str, int] = field(default_factory=dict)
    idle: Mapping[str, int] = field(default_factory=dict)
    wants: float = inf
    age_s: float = 0.0
    ends_in_s: float | None = None

    def as_plain(self) -> dict[str, Any]:
        """What `of_plain` reads."""
        wants = None if self.wants == inf else self.wants
        return {"version": VERSION, **vars(self), "share": dict(vars(self.share)), "wants": wants}

    @classmethod
    def of_plain(cls, said: Mapping[str, Any]) -> Self:
        """Raises BrokerError where another version said it, or nothing that makes sense."""
        if said.get("version") != VERSION:
            raise BrokerError(
                f"speaks version {said.get('version')} of what drivers say, and the broker {VERSION}. "
                "Use one version of sweep-mlx for all studies that share"
            )
        try:
            said = {"idle": {}, **said}  # drivers of before do not say it
            values = {name: said[name] for name in cls.__dataclass_fields__}
            values["share"] = share = Share(**values["share"])
            values["wants"] = inf if values["wants"] is None else values["wants"]
            found = cls(**values)
            positive = share.weight > 0 and share.weight < inf and found.wants >= 0 and found.age_s >= 0
            counts = [
                count for of in (found.nodes, found.held, found.gives, found.idle) for count in of.values()
            ]
            if not positive or any(not isinstance(count, int) or count < 0 for count in counts):
                raise ValueError("weights are above 0, counts not below")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BrokerError(f"cannot be understood by the broker: {error}") from error
        return found


@dataclass(frozen=True)
class Queued:
    """One study in the queue. `gives` says how many of the slots it has it is giving back."""

    study: str
    name: str
    user: str
    host: str
    priority: int
    weight: float
    held: int
    share: int
    gives: int
    wants: float
    age_s: float
    ends_in_s: float | None

    @property
    def waits(self) -> bool:
        """Whether it has work and no slot."""
        return not self.held and self.wants > 0

    @property
    def whose(self) -> str:
        """As messages name it."""
        return f"{self.name} of {self.user}"


@dataclass(frozen=True)
class Answer:
    """What the broker says: how many slots of each node the study may hold, and the whole queue.

    `broker` is another one after its state was lost; one that is `new` gives no further slots until all
    drivers have had time to say what they hold. `slots` counts those of all nodes.
    """

    broker: str
    may: Mapping[str, int]
    slots: int
    queue: tuple[Queued, ...] = ()
    new: bool = False

    def as_plain(self) -> dict[str, Any]:
        """What `of_plain` reads."""
        queue = [{**vars(each), "wants": None if each.wants == inf else each.wants} for each in self.queue]
        return {"version": VERSION, **vars(self), "queue": queue}

    @classmethod
    def of_plain(cls, said: Mapping[str, Any]) -> Self:
        """Raises BrokerError where it is none of this version."""
        if "error" in said:
            raise BrokerError(str(said["error"]))
        try:
            if said["version"] != VERSION:
                raise ValueError(f"version {said['version']}")
            values = {name: said[name] for name in cls.__dataclass_fields__}
            queue = [
                Queued(**{**each, "wants": inf if each["wants"] is None else each["wants"]})
                for each in values["queue"]
            ]
            return replace(cls(**values), queue=tuple(queue))
        except (KeyError, TypeError, ValueError) as error:
            raise BrokerError(
                f"the broker's answer cannot be understood: {error}. "
                "Use one version of sweep-mlx for all studies that share"
            ) from error


def waits_for(answer: Answer, study: str) -> str | None:
    """For whom a study waits, in words; None where it has a slot or no work."""
    own = next((each for each in answer.queue if each.study == study), None)
    if own is None or not own.waits:
        return None
    if answer.new:
        return "waits for a slot: the broker is new and hears first what each study holds"
    holders = [each for each in answer.queue if each.held]
    if not holders:
        return None
    held = ", ".join(
        f"{each.whose} has {each.held}{f' and gives {each.gives} back' if each.gives else ''}"
        for each in holders
    )
    return f"waits for one of {answer.slots} slots: {held}"
