"""Slots on their way back to other studies: not before what they saved has arrived, and not for ever."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

from sweep.driver.limits import share_of
from sweep.driver.slots.releasing import ARRIVES_WITHIN_S, Releasing
from sweep.driver.steering.settings import with_values
from sweep.executors.sharing.messages import Share
from sweep.scheduler import Aim, Limits, State
from sweep.scheduler.messages import SlotReleased
from sweep.scheduler.slots import Slot
from sweep.spec.parse import parse
from sweep.vocabulary.trial import RunId
from tests.sweep.conftest import STUDY


class Executor:
    """Shares slots, and remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def want(self, slots: float, ends_in_s: float | None, idle: Collection[str]) -> None:
        self.said.append((slots, ends_in_s, *idle))

    def release(self, slot: str) -> None:
        self.said.append(slot)

    def ask_for(self, share: Share) -> None:
        self.said.append(share)


class Begun:
    """Slots that are given back, with what is on its way from them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.coming = {"slot-1"}
        self.collector = Mock(is_coming_from=lambda slot: slot in self.coming)
        self.executor = Executor()
        self.releasing = Releasing(self.executor, self.collector, lambda: self.now)  # type: ignore[arg-type]


def test_a_slot_is_given_back_once_what_it_saved_has_arrived() -> None:
    begun = Begun()
    begun.releasing.begin("slot-1")
    begun.collector.fetch_from.assert_called_once_with("slot-1")
    assert begun.releasing.released() == []
    begun.coming.clear()
    assert begun.releasing.released() == [SlotReleased("slot-1")]
    assert (begun.releasing.released(), begun.executor.said) == ([], ["slot-1"])


def test_a_checkpoint_that_does_not_arrive_holds_no_slot_for_ever() -> None:
    begun = Begun()
    begun.releasing.begin("slot-1")
    begun.now = ARRIVES_WITHIN_S + 1.0
    assert begun.releasing.released() == [SlotReleased("slot-1")]
    begun.collector.slot_lost.assert_called_once_with("slot-1")


def test_a_slot_that_is_lost_meanwhile_is_not_given_back() -> None:
    begun = Begun()
    begun.releasing.begin("slot-1")
    begun.releasing.slot_lost("slot-1")
    begun.coming.clear()
    assert (begun.releasing.released(), begun.executor.said) == ([], [])


def test_other_studies_hear_how_much_work_is_left() -> None:
    begun = Begun()
    state = State(Limits(8, (Aim("value"),)))
    state.told, begun.now = 2, 10.0
    state.slots = {id: Slot(id, "here", "", 0.0) for id in ("slot-0", "slot-1")}
    state.slots["slot-0"].holding[RunId(0, 0)] = None
    begun.releasing.look(state)
    begun.releasing.look(state)
    assert begun.executor.said == [(6, 6 * 10.0 / 2, "slot-1")]


def test_a_share_that_is_set_while_the_study_runs_is_asked_for() -> None:
    begun = Begun()
    spec = parse(STUDY.replace("executor: inline\n", "cluster_share: {max_slots: 2}\n"), "study.yaml")
    begun.releasing.steer(with_values(spec, {"cluster_share.weight": 2.0, "cluster_share.priority": 1}))
    assert begun.executor.said == [Share(1, 2.0, 2)]


def test_an_executor_that_shares_nothing_is_asked_nothing() -> None:
    releasing = Releasing(SimpleNamespace(), Mock(), lambda: 0.0)
    releasing.look(State(Limits(8, (Aim("value"),))))
    releasing.steer(parse(f"{STUDY}cluster_share: {{}}\n", "study.yaml"))


def test_a_study_shares_on_a_cluster_and_here_where_its_file_says_so() -> None:
    here = parse(STUDY, "study.yaml")
    assert share_of(here) is None
    assert share_of(here.model_copy(update={"cluster": "lab.yaml"})) == Share()
    assert share_of(parse(f"{STUDY}cluster_share: {{give_up_within: 5s}}\n", "study.yaml")) == Share(
        give_up_within_s=5.0
    )
