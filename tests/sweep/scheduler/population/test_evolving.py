"""Members that copy each other: by a row within a slot, from a checkpoint between slots, never too late."""

from __future__ import annotations

from dataclasses import replace

from runlog.lineage import Stretch
from sweep.scheduler import Aim, Limits, State, transition
from sweep.scheduler.messages import (
    Asked,
    Collect,
    Collected,
    Evolved,
    Instruction,
    Judge,
    Judged,
    RunTurn,
    Tick,
)
from sweep.vocabulary.trial import Length, Report, RunId, Snapshot, TrialPlan
from sweep.vocabulary.turn import Loss, SlotJoined, SlotLost, Spent, Turn, TurnDone, TurnResult

LENGTH = Length(4, 1)


def plan(number: int, *past: Stretch) -> TrialPlan:
    return TrialPlan(number, 0, {"rate": float(number)}, (), LENGTH, past=past)


def copy(trial: int, source: int, examples: int = 1) -> Evolved:
    return Evolved(plan(trial, Stretch(examples, source, {"rate": float(source)})), examples, source)


class Two:
    """Members in one slot of two lanes, or in two slots of one."""

    def __init__(self, slots: int = 1, members: int = 2) -> None:
        width = members // slots
        self.state = State(Limits(members, (Aim("value"),), width=width, slots=slots, ahead=True, interval=1))
        self.turns: dict[str, Turn] = {}
        self.collects: list[Snapshot] = []
        for slot in range(slots):
            self.enter(SlotJoined(f"slot-{slot}", "here", "chip", 0.0))
        self.enter(Asked(tuple(plan(number) for number in range(members))))

    def enter(self, *events: object) -> list[Instruction]:
        found = []
        for event in events:
            found += transition(self.state, event, 0.0)  # type: ignore[arg-type]
            self.state.validate()
        for each in found:
            if isinstance(each, RunTurn):
                assert each.slot not in self.turns, "a decision is waited for"
                self.turns[each.slot] = each.turn
            if isinstance(each, Collect):
                self.collects.append(each.snapshot)
        return found

    def done(self, slot: str, examples: int, *members: int) -> list[Instruction]:
        turn = self.turns.pop(slot)
        reports = tuple(
            Report(each, 0, examples, 0.0, 0, {"value": float(each)}, 0, 1, 0, "here", 0.0)
            for each in members
        )
        spent = {RunId(each, 0): Spent(train_s=1.0) for each in members}
        return self.enter(TurnDone(slot, TurnResult(turn.number, reports, spent=spent, turn_s=1.0)))


def judged(*members: int, evolved: tuple[Evolved, ...] = (), leading: tuple[int, ...] = ()) -> Judged:
    return Judged(frozenset(members), (), evolved, frozenset(leading))


def test_a_copy_in_one_slot_is_part_of_the_next_turn() -> None:
    two = Two()
    assert [each for each in two.done("slot-0", 1, 0, 1) if isinstance(each, Judge)]
    assert not two.turns, "the slot waits for what is decided"
    two.enter(judged(0, 1, evolved=(copy(0, 1),), leading=(1,)))
    (change,) = two.turns["slot-0"].changes
    assert (change.lane, change.source, change.plan.number) == (0, 1, 0)
    assert two.turns["slot-0"].loads == ()
    assert two.turns["slot-0"].saves == (), "no member elsewhere wants it"
    two.done("slot-0", 2, 0, 1)
    two.enter(judged(0, 1))
    assert two.turns["slot-0"].changes == ()


def test_a_change_alone_needs_no_source() -> None:
    two = Two()
    two.done("slot-0", 1, 0, 1)
    changed = Evolved(plan(0, Stretch(1, 0, {"rate": 0.0})), 1, None)
    two.enter(judged(0, 1, evolved=(changed,)))
    (change,) = two.turns["slot-0"].changes
    assert (change.lane, change.source) == (0, None)


def test_between_slots_a_member_that_leads_is_saved_and_loaded_by_the_other() -> None:
    two = Two(slots=2)
    two.done("slot-1", 1, 1)
    two.enter(judged(1, leading=(1,)))
    assert two.turns["slot-1"].saves == (0,)
    saved = Snapshot(1, 0, 1, "of-1", 1, "")
    two.enter(Collected(saved))
    two.done("slot-0", 1, 0)
    two.enter(judged(0, evolved=(copy(0, 1),)))
    turn = two.turns["slot-0"]
    assert turn.changes == ()
    assert turn.drops == (0,)
    assert [(load.run.trial, load.checkpoint) for load in turn.loads] == [(0, "of-1")]


def test_without_a_checkpoint_the_lineage_is_trained_again() -> None:
    two = Two(slots=2)
    two.done("slot-1", 1, 1)
    two.enter(judged(1))
    two.done("slot-0", 1, 0)
    two.enter(judged(0, evolved=(copy(0, 1),)))
    (load,) = two.turns["slot-0"].loads
    assert load.checkpoint is None
    assert load.plan.past == (Stretch(1, 1, {"rate": 1.0}),)


def test_a_snapshot_of_what_a_member_was_is_not_resumed_from() -> None:
    two = Two()
    two.done("slot-0", 1, 0, 1)
    two.enter(judged(0, 1, evolved=(copy(0, 1),)))
    two.enter(Collected(Snapshot(0, 0, 1, "before", 1, "")), Collected(Snapshot(1, 0, 1, "of-1", 1, "")))
    run = two.state.trials[0].runs[0]
    assert run.checkpoint is not None
    assert run.checkpoint.path == "of-1"
    assert two.state.needed == {"of-1", "before"}, "others that come to this boundary may want them"


def test_a_source_on_its_way_through_another_s_lineage_is_not_copied() -> None:
    """It stands at the boundary in a lane, with a state that it did not have when it was compared."""
    two = Two()
    two.done("slot-0", 1, 0, 1)
    two.enter(judged(0, 1))
    source = two.state.trials[1]
    source.plan = replace(source.plan, past=(Stretch(2, 0, {}),))
    two.done("slot-0", 2, 0, 1)
    two.enter(judged(0, 1, evolved=(copy(0, 1, examples=2),)))
    assert two.turns["slot-0"].changes == ()
    assert [load.run.trial for load in two.turns["slot-0"].loads] == [0]


def test_a_member_whose_worker_is_lost_before_the_verdict_trains_nothing_until_it() -> None:
    two = Two(slots=2)
    turn = two.turns["slot-0"]
    report = Report(0, 0, 1, 0.0, 0, {"value": 0.0}, 0, 1, 0, "here", 0.0)
    two.done("slot-1", 1, 1)
    two.enter(judged(1))
    two.enter(
        TurnDone("slot-0", TurnResult(turn.number, (report,), turn_s=1.0)),
        SlotLost("slot-0", Loss.NODE, "gone"),
        SlotJoined("slot-2", "here", "chip", 0.0),
    )
    assert "slot-2" not in two.turns
    two.enter(judged(0, evolved=(copy(0, 1),)))
    two.enter(Tick())
    (load,) = two.turns["slot-2"].loads
    assert load.plan.past == (Stretch(1, 1, {"rate": 1.0}),)
