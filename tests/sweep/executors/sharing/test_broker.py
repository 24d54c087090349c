"""The broker alone: what drivers say, and what they may hold."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from sweep.executors.sharing.broker import LEASE_S, NEW_S, SAY_EVERY_S, Broker
from sweep.executors.sharing.messages import Answer, BrokerError, Share, Standing, waits_for

FOUR = {"a": 2, "b": 2}


def standing(name: str, **more: object) -> Standing:
    return replace(Standing(name, f"{name}-1", name, user=f"{name}'s user", host="here", nodes=FOUR), **more)  # type: ignore[arg-type]


def settled(
    broker: Broker, standings: list[Standing], now: float, rounds: int = 6
) -> dict[str, dict[str, int]]:
    """Let drivers speak in turn, each taking or giving what it is told."""
    held = {each.study: dict(each.held) for each in standings}
    for _ in range(rounds):
        for each in standings:
            now += SAY_EVERY_S / len(standings)
            held[each.study] = dict(broker.heard(replace(each, held=held[each.study]), now).may)
            taken = {node: sum(each.get(node, 0) for each in held.values()) for node in FOUR}
            assert all(taken[node] <= FOUR[node] for node in FOUR), "no slot is held twice"
    return held


def test_studies_come_to_their_shares_by_what_each_is_told() -> None:
    broker = Broker("one", -NEW_S)
    alone = settled(broker, [standing("x")], 0.0)
    assert alone == {"x": FOUR}
    three = [standing("x", held=FOUR), standing("y"), standing("z", share=Share(weight=2.0))]
    assert {name: sum(held.values()) for name, held in settled(broker, three, 10.0).items()} == {
        "x": 1,
        "y": 1,
        "z": 2,
    }


def test_a_slot_is_given_to_another_only_once_it_is_given_back() -> None:
    broker = Broker("one", -NEW_S)
    x = standing("x", held=FOUR)
    broker.heard(x, 0.0)
    assert broker.heard(standing("y"), 0.1).may == {}
    assert sum(broker.heard(x, 0.2).may.values()) == 2
    assert broker.heard(standing("y"), 0.3).may == {}, "x has heard that it must, and not done so yet"
    broker.heard(replace(x, held={"a": 2}), 0.4)
    assert broker.heard(standing("y"), 0.5).may == {"b": 2}


def test_a_broker_without_a_state_gives_nothing_out_until_all_have_said_what_they_hold() -> None:
    broker = Broker("two", 0.0)
    answer = broker.heard(standing("y"), 0.1)
    assert (answer.may, answer.new) == ({}, True)
    x = standing("x", held=FOUR)
    assert broker.heard(x, 1.0).may == FOUR
    assert broker.heard(standing("y"), NEW_S + 0.1).may == {}
    broker.heard(x, NEW_S + 0.2)
    assert broker.heard(replace(x, held={"a": 2}), NEW_S + 0.3).may == {"a": 2}
    assert broker.heard(standing("y"), NEW_S + 0.4).may == {"b": 2}


def test_the_slots_of_a_driver_that_dies_or_leaves_are_free() -> None:
    broker = Broker("one", -NEW_S)
    broker.heard(standing("x", held=FOUR), 0.0)
    assert broker.heard(standing("y"), 1.0).may == {}
    assert broker.heard(standing("y"), LEASE_S + 0.1).may == FOUR
    broker.left("y", "an earlier session")
    assert [each.study for each in broker.queue(LEASE_S + 0.2)] == ["y"]
    broker.left("y", "y-1")
    assert broker.queue(LEASE_S + 0.3) == ()


def test_who_came_first_is_known_by_how_long_ago_whatever_clocks_say() -> None:
    broker = Broker("one", -NEW_S)
    one = {"a": 1, "b": 0}
    broker.heard(standing("late", nodes=one, age_s=5.0), 100.0)
    broker.heard(standing("early", nodes=one, age_s=50.0), 101.0)
    assert [each.study for each in broker.queue(102.0)] == ["early", "late"]


def test_a_study_that_waits_says_for_whom() -> None:
    broker = Broker("one", -NEW_S)
    broker.heard(standing("x", held=FOUR, gives={"a": 1}), 0.0)
    answer = broker.heard(standing("y"), 0.1)
    assert waits_for(answer, "y") == "waits for one of 4 slots: x of x's user has 4 and gives 1 back"
    assert waits_for(answer, "x") is None


def test_slots_that_do_nothing_are_given_back_before_those_that_train() -> None:
    broker = Broker("one", -NEW_S)
    x = standing("x", held={"a": 1, "b": 1}, wants=1, idle={"a": 1})
    assert broker.heard(x, 0.0).may == {"b": 1}
    assert broker.heard(replace(x, gives={"a": 1}, idle={}), 0.1).may == {"b": 1}


def test_a_driver_that_does_not_say_what_is_idle_is_understood() -> None:
    said = standing("x", held={"a": 1}).as_plain()
    del said["idle"]
    assert Standing.of_plain(said) == standing("x", held={"a": 1})


def test_what_is_said_travels_as_plain_values() -> None:
    said = standing("x", held={"a": 1}, idle={"a": 1}, wants=inf, share=Share(2, 0.5, 3, 1.0), ends_in_s=3.0)
    assert Standing.of_plain(said.as_plain()) == said
    broker = Broker("one", -NEW_S)
    answer = broker.answer({"call": "say", "standing": said.as_plain()}, 0.0)
    assert Answer.of_plain(answer) == broker.heard(said, 0.0)
    assert Answer.of_plain(broker.answer({"call": "queue"}, 1.0)).queue[0].name == "x"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 0}, "speaks version 0 .* Use one version of sweep-mlx for all studies that share"),
        ({"share": {"weight": 0.0}}, "weights are above 0"),
        ({"held": {"a": -1}}, "counts not below"),
        ({"nodes": None}, "cannot be understood by the broker"),
    ],
)
def test_invariant_10_what_makes_no_sense_is_refused_in_one_line(
    changes: dict[str, object], reason: str
) -> None:
    said = {**standing("x").as_plain(), **changes}
    answer = Broker("one", 0.0).answer({"call": "say", "standing": said}, 0.0)
    with pytest.raises(BrokerError, match=reason) as raised:
        Answer.of_plain(answer)
    assert "\n" not in str(raised.value)


def test_an_answer_of_another_version_is_no_answer() -> None:
    plain = Broker("one", 0.0).answer({"call": "queue"}, 0.0)
    with pytest.raises(BrokerError, match=r"version 2.*Use one version of sweep-mlx"):
        Answer.of_plain({**plain, "version": 2})
