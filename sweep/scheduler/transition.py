"""One event in, instructions out."""

from __future__ import annotations

from collections import Counter
from typing import assert_never

from sweep.scheduler import (
    device_loss,
    endings,
    faults,
    feeding,
    in_order,
    leaving,
    placement,
    queues,
    widths,
)
from sweep.scheduler.live import LiveRun, LiveTrial, QueueKey
from sweep.scheduler.messages import (
    Asked,
    Collect,
    Collected,
    Discard,
    Event,
    Finish,
    Instruction,
    Interrupted,
    Judge,
    Judged,
    Kept,
    Limited,
    NoMoreAsks,
    Note,
    Prune,
    Record,
    SlotReleased,
    Taken,
    Tell,
    Tick,
    Unsaved,
)
from sweep.scheduler.population import checkpoints, evolving, together
from sweep.scheduler.slots import Flight, Slot
from sweep.scheduler.state import Phase, State
from sweep.vocabulary.trial import Report, RunId, Snapshot, TrialPlan
from sweep.vocabulary.turn import SlotJoined, SlotLost, SlotReclaimed, TurnDone, TurnResult

WAIT_FOR_VERDICTS = 20
"""A slot waits for verdicts where an advance lasts this many round trips or more."""


def transition(state: State, event: Event, now: float) -> list[Instruction]:
    """Enter one event; `now` is in seconds and never goes backwards."""
    out: list[Instruction] = []
    match event:
        case SlotJoined() if event.slot in state.slots:
            pass  # heard of twice
        case SlotJoined():
            outlasts = WAIT_FOR_VERDICTS * event.round_trip_s
            slot = Slot(event.slot, event.host, event.chip, outlasts, event.memory_bytes)
            state.slots[event.slot] = slot
            state.wanted = None
            feeding.open_slot(state, slot)
        case SlotLost():
            faults.slot_lost(state, event, now, out)
        case SlotReclaimed():
            leaving.reclaim(state, event, now)
        case SlotReleased():
            leaving.released(state, event, now)
        case TurnDone():
            _turn_done(state, event.slot, event.result, now, out)
        case Asked():
            state.asking = False
            state.exhausted = state.exhausted or event.exhausted
            for plan in event.plans:
                _enter(state, plan, now)
        case Taken():
            _take_up(state, event, now, out)
        case Judged():
            state.unjudged -= event.judged
            if state.limits.in_order:
                in_order.judged(state, event, out)
            if state.limits.interval is not None:
                evolving.enter(state, event, now)
                together.decided(state, event.judged)
            for number in () if state.limits.in_order else event.pruned:
                endings.prune(state, number, out)
        case Collected():
            _collected(state, event.snapshot)
        case Kept():
            endings.kept(state, event.number, out)
        case Unsaved():
            for run in endings.unsaved(state, event.number, event.replicates, out):
                faults.requeue(state, run, now, limit=None)
        case Tick():
            faults.resume_paused(state, now)
            faults.check_deadlines(state, now, out)
            faults.leave_behind(state, now, out)
        case NoMoreAsks():
            if state.phase is Phase.RUNNING:
                state.phase = Phase.FINISHING
        case Limited():
            _limit(state, event)
        case Prune():
            endings.prune(state, event.number, out, endings.PRUNED_BY_HAND)
        case Finish():
            endings.finish(state, event.number)
        case Interrupted():
            state.stop_by = min(state.stop_by, now + state.limits.stop_s)
            _stop(state)
        case _:
            assert_never(event)
    if state.finishing:
        endings.finish_those_that_wait(state, out)
    if state.limits.in_order:
        in_order.settle(state, out)
    if state.limits.together:
        together.settle(state, out)
    _give_up(state, out)
    feeding.ask(state, out)
    feeding.feed(state, now, out)
    leaving.let_go(state, now, out)
    state.log.enter(now, event, out)
    return out


def _stop(state: State) -> None:
    """Finish the turns in flight, snapshot, end."""
    state.phase = Phase.STOPPING
    for slot in state.slots.values():
        feeding.open_slot(state, slot)


def _limit(state: State, event: Limited) -> None:
    """Go by other limits: what was measured holds unless the lanes are counted otherwise."""
    if event.limits.width != state.limits.width:
        state.rates.clear()
    state.limits = event.limits
    state.wanted = None
    state.exhausted = False
    if state.phase is Phase.FINISHING:
        state.phase = Phase.RUNNING
    for slot in state.slots.values():
        feeding.open_slot(state, slot)


def _give_up(state: State, out: list[Instruction]) -> None:
    """Stop where one trial after another breaks: what they need is away, and no trial is spent on it."""
    most = state.limits.stop_after
    if most is None or state.broken < most or state.phase is Phase.STOPPING:
        return
    reasons = [each.outcome.reason or "" for each in out if isinstance(each, Tell)]
    last = "".join(reasons[-1].strip().splitlines()[:1]) if reasons else ""
    state.gave_up = f"{state.broken} trials in a row failed (failures.stop_after). The last: {last}"
    out.append(Note(f"stopping: {state.gave_up}"))
    _stop(state)


def _enter(state: State, plan: TrialPlan, now: float) -> LiveTrial:
    key = QueueKey(plan.signature)
    runs = {
        replicate: LiveRun(RunId(plan.number, replicate), key, plan.length, since=now)
        for replicate in range(state.limits.replicates)
    }
    for replicate, start in plan.start.items():
        runs[replicate].checkpoint = start
        runs[replicate].recorded = plan.length.boundaries(start.examples)
    trial = LiveTrial(plan, runs)
    state.entered += 1
    state.trials[plan.number] = trial
    state.next_number = max(state.next_number, plan.number + 1)
    for run in runs.values():
        queues.enqueue(state, run)
    return trial


def _take_up(state: State, event: Taken, now: float, out: list[Instruction]) -> None:
    """Enter a trial of an earlier session: its reports are known, its runs resume from their checkpoints."""
    trial = _enter(state, event.plan, now)
    for replicate, run in trial.runs.items():
        run.attempt = event.attempts
        run.checkpoint = event.checkpoints.get(replicate, run.checkpoint)
        run.lane_s = event.lane_s.get(replicate, 0.0)
        for report in event.reports.get(replicate, ()):
            run.enter(report)
            if trial.enter_report(report) is not None:
                trial.entered = report.examples
                endings.follow_patience(state, trial)
        trial.add("examples", _examples_before(event, replicate))
        trial.add("train_s", run.lane_s)  # the log has the time up to a report, evaluation and all
        ended = run.checkpoint is not None and run.checkpoint.final
        run.finished = ended if run.length.open else run.recorded >= run.length.reports
        run.final = run.finished and not ended and run.reports_left() > 0
        if run.finished:
            queues.unqueue(state, run)
    if state.limits.in_order:
        in_order.judge_again(state, trial)
    elif trial.finished or endings.out_of_patience(state, trial):
        endings.complete(state, trial, out)
    elif event.undecided:
        last = trial.passed[-1]
        judge = Judge(event.plan.number, run.reported, last.means, last.each, last=False)
        if state.limits.together:
            together.arrive(state, judge)
            together.park(state, run)
            return
        out.append(judge)
        state.unjudged.add(event.plan.number)


def _examples_before(event: Taken, replicate: int) -> int:
    """How many examples a run saw in earlier sessions; what comes again after its checkpoint is lost."""
    seen = [report.examples for report in event.reports.get(replicate, ())]
    if replicate in event.checkpoints:
        seen.append(event.checkpoints[replicate].examples)
    start = event.plan.start.get(replicate)
    begun = start.examples if start is not None else 0
    return max(seen, default=begun) - begun


def _turn_done(state: State, slot_id: str, result: TurnResult, now: float, out: list[Instruction]) -> None:
    slot = state.slots.get(slot_id)
    if slot is None or result.number not in slot.in_flight:
        return
    flight = slot.in_flight.pop(result.number)
    state.longest_turn_s = max(state.longest_turn_s, now - slot.started)
    slot.started = now
    if not flight.ends:
        advance_s = result.turn_s / flight.reports
        slot.waits = advance_s > slot.advance_outlasts
        if flight.key == slot.key:
            slot.advance_s = advance_s
    feeding.open_slot(state, slot)
    if result.device_lost:
        device_loss.device_lost(state, slot, flight, result, now, out)
        return
    if flight.probes is not None:
        widths.measured(state, slot, flight.probes, result, out)
        return
    out += [Note(text) for text in result.notes]
    if slot.key is not None and result.error is None:
        state.device_losses.pop(slot.key.signature, None)
        placement.measured(state, slot, slot.key.signature, result)
    if result.error is None or result.reports:
        _enter_came(state, slot, flight, result, now, out)
    if result.error is not None:
        faults.turn_failed(state, slot, flight, result, now, out)
        return
    for id in result.finished:
        _finish(state, slot, id, out)
    faults.check_timeouts(state, result, out)


def _enter_came(
    state: State, slot: Slot, flight: Flight, result: TurnResult, now: float, out: list[Instruction]
) -> None:
    """Enter what a turn brought, which may have failed after that: times, reports, snapshots, failed runs."""
    _enter_times(state, flight, result)
    live = {each.run for each in result.snapshots if state.run(each.run) is not None}
    if flight.reports == 1:
        for report in result.reports:
            _report(state, report, 0.0, out)  # a trial may end here, with a snapshot of this very report
    else:
        _enter_several(state, result, out)
    for snapshot in result.snapshots:
        run = state.run(snapshot.run)
        if run is not None and snapshot.final:
            run.final = True
        out.append(Collect(slot.id, snapshot) if snapshot.run in live else Discard(slot.id, snapshot))
    for failure in result.failures:
        run = state.run(failure.run)
        if failure.diverged:
            endings.fail(state, failure.run, failure.reason, out, diverged=True)
        elif run is not None and run.slot == slot.id:
            faults.broke(state, run, failure.reason, now, out, lasting=failure.lasting)


def _enter_several(state: State, result: TurnResult, out: list[Instruction]) -> None:
    """Enter several reports of each run: the turn's time is spread evenly over them."""
    counts, seen = Counter(report.run for report in result.reports), Counter[RunId]()
    for report in result.reports:
        seen[report.run] += 1
        spent = result.spent[report.run]
        left = 1 - seen[report.run] / counts[report.run]
        _report(state, report, (spent.train_s + spent.evaluate_s) * left, out)


def _enter_times(state: State, flight: Flight, result: TurnResult) -> None:
    """Time goes to the ledgers; what repeats earlier work counts as lost.

    A lane was useful where its run reported what was not known before, or is on its way to that.
    """
    reported = {(report.trial, report.replicate): report.examples for report in result.reports}
    useful = 0
    for id, spent in result.spent.items():
        trial = state.trials.get(id.trial)
        if trial is None:
            continue
        run, examples = trial.runs[id.replicate], reported.get(id)
        run.lane_s += spent.train_s + spent.evaluate_s
        is_ahead = examples is not None and run.is_ahead(examples)
        trial.spend(spent, lost=examples is not None and not is_ahead)
        useful += is_ahead if examples is not None else run.length.open
    state.lane_time.add(result.turn_s, flight.width, useful)
    if not state.all_asked:
        state.lane_time_while_asking.add(result.turn_s, flight.width, useful)


def _report(state: State, report: Report, since_s: float, out: list[Instruction]) -> None:
    """Write down what is new, and judge once all replicates are there; its run trained `since_s` after it."""
    trial = state.trials.get(report.trial)
    if trial is None:
        return
    run = trial.runs[report.replicate]
    if run.finished or not run.is_new(report.examples):
        return
    run.enter(report)
    run.losses = run.retried = 0  # it has come further than where it failed
    if state.limits.in_order:
        in_order.arrived(state, trial, report, run.lane_s - since_s)
        return
    out.append(Record(report, run.lane_s - since_s))
    passed = trial.enter_report(report)
    if passed is None:
        return
    endings.follow_patience(state, trial)
    last = report.examples >= run.length.examples
    judge = Judge(report.trial, report.examples, passed.means, passed.each, last)
    if state.limits.together and state.limits.evolves(run.length, report.examples):
        together.arrive(state, judge)
        return
    out.append(judge)
    if endings.out_of_patience(state, trial):
        endings.complete(state, trial, out)
    elif state.limits.is_verdict_due(run.length, report.examples):
        state.unjudged.add(report.trial)


def _finish(state: State, slot: Slot, id: RunId, out: list[Instruction]) -> None:
    slot.vacate(id)
    run = state.run(id)
    if run is None or run.finished:
        return
    run.finished, run.slot = True, None
    slot.brief = run.length.open and run.recorded <= 1
    trial = state.trials[id.trial]
    if state.limits.in_order:
        state.moved.add(id.trial)
    elif trial.finished:
        endings.complete(state, trial, out)


def _collected(state: State, snapshot: Snapshot) -> None:
    if state.limits.interval is not None:
        checkpoints.collected(state, snapshot)
        return
    trial = state.trials.get(snapshot.trial) or state.ending.get(snapshot.trial)
    run = trial.runs[snapshot.replicate] if trial is not None else None
    if run is not None and snapshot.examples >= run.seen:
        run.checkpoint = snapshot
