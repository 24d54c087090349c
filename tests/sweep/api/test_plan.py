"""Plans: the real driver and scheduler on simulated nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from runlog.records import encode
from sweep.api.plan import Forecast, forecast
from sweep.driver.monitor.progress import Quiet
from sweep.errors import RunDirError, SweepError
from sweep.executors.simulated import SimulatedExecutor
from sweep.executors.simulated_worker import SimulatedWorker
from sweep.rundir.times import Times, measured_times, read_log
from sweep.scheduler import feeding
from sweep.spec.parse import parse
from sweep.spec.task_description import Description
from sweep.vocabulary.turn import Turn, TurnResult
from tests.run_dirs import OBJECTIVES, Clock, ask, open_run, outcome, report
from tests.sweep.conftest import STUDY, Folder

LINE = Description(
    static=("slow", "micro_batch_size", "optimizer", "precision"),
    switches=("gradient_clip",),
    dynamic=(),
    metrics=("train_loss", "validation_loss"),
    train_examples=64,
    validation_examples=32,
    device="cpu",
    chip="a chip",
    memory_bytes=1 << 33,
    vmap_incompatibility=None,
)


def plan(trials: int, nodes: int, *changes: tuple[str, str], mtbf_s: float | None = None) -> Forecast:
    text = STUDY.replace("trials: 4", f"trials: {trials}")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    spec = parse(text, "study.yaml")
    return forecast(spec, LINE, nodes=nodes, times=Times({}, 60.0), progress=Quiet(), mtbf_s=mtbf_s)


@pytest.mark.parametrize(("trials", "nodes", "makespan_s"), [(12, 3, 240.0), (50, 50, 60.0), (7, 4, 120.0)])
def test_a_plan_without_failures_takes_as_many_rounds_as_it_must(
    trials: int, nodes: int, makespan_s: float
) -> None:
    found = plan(trials, nodes)
    assert (found.trials, found.makespan_s) == (trials, makespan_s)
    assert found.utilisation == pytest.approx(trials * 60 / (nodes * makespan_s), abs=1e-3)


def test_a_plan_says_what_limits() -> None:
    assert "the nodes" in plan(12, 3).limited_by
    assert "the last trials" in plan(5, 4).limited_by
    assert (
        "max_concurrent: 8" in plan(32, 16, ("{name: random}", "{name: tpe}\nmax_concurrent: 8")).limited_by
    )


@pytest.mark.slow
def test_failing_nodes_cost_time_and_no_trial() -> None:
    found = plan(80, 10, ("epochs: 3", "epochs: 30"), mtbf_s=600.0)
    assert found.trials == 80
    assert found.node_losses > 0
    assert found.makespan_s > 480.0
    assert plan(80, 10, ("epochs: 3", "epochs: 30"), mtbf_s=600.0).makespan_s == found.makespan_s


def test_a_plan_whose_nodes_fail_as_often_as_trials_end_comes_to_an_end() -> None:
    """Fault 12: what was saved was not found again, and a run was held by a slot with nothing left to do."""
    pruner = ("{name: random}", "{name: random}\npruner: {name: successive_halving}")
    found = plan(16, 4, ("epochs: 3", "epochs: 27"), pruner, mtbf_s=60.0)
    assert found.trials == 16
    assert found.node_losses > 8


@pytest.mark.slow
def test_after_a_loss_nothing_is_trained_again_that_was_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []
    carry_out = SimulatedWorker.carry_out

    def counting(self: SimulatedWorker, turn: Turn, seconds: float, now: float) -> TurnResult:
        result = carry_out(self, turn, seconds, now)
        trained.append(sum(spent.examples for spent in result.spent.values()))
        return result

    monkeypatch.setattr(SimulatedWorker, "carry_out", counting)
    saving = ("{name: random}", "{name: random}\ncheckpoints: {every: 1s}")
    found = plan(40, 1, ("epochs: 3", "epochs: 30"), saving, mtbf_s=20.0)
    assert found.node_losses > 100
    assert sum(trained) == 40 * 30 * LINE.train_examples


def test_a_plan_that_cannot_end_says_so() -> None:
    with pytest.raises(SweepError, match="Let nodes live longer"):
        plan(2, 1, ("epochs: 3", "epochs: 1"), mtbf_s=0.5)


def test_pruners_shorten_a_plan() -> None:
    pruned = plan(
        64, 4, ("epochs: 3", "epochs: 27"), ("{name: random}", "{name: random}\npruner: {name: hyperband}")
    )
    assert pruned.trials == 64
    assert pruned.makespan_s < 0.9 * 64 * 60 / 4


@contextmanager
def looked_at() -> Iterator[list[int]]:
    """How often the scheduler looks at a slot."""
    count = [0]
    whole = feeding._feed_slot

    def counting(*arguments: object) -> None:
        count[0] += 1
        whole(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeding, "_feed_slot", counting)
        yield count


@pytest.mark.slow
def test_what_the_scheduler_does_for_a_trial_does_not_grow_with_slots_or_trials() -> None:
    looks = {}
    for trials, nodes in ((100, 10), (400, 10), (400, 100)):
        with looked_at() as count:
            plan(trials, nodes)
        looks[trials, nodes] = count[0] / trials
    assert looks[400, 10] <= 1.2 * looks[100, 10]
    assert looks[400, 100] <= 2.0 * looks[400, 10]


START_S, COMPILE_S = 1.5, 1.0


def recorded(root: Path) -> Path:
    """A run of four trials, two at a time: trial n trained for n + 1 s in its lane.

    Half of each step was the neighbour's. The slot worked 12 s: 2 to compile two programs, and for the steps
    twice the 5 s that the trials' own shares add up to.
    """
    clock = Clock()
    with open_run(root, clock) as run:
        run.record_opened(objectives=OBJECTIVES, choices={}, trials=4)
        clock.now += START_S
        run.record_slot("slot-0", host="mac-1", chip="a chip")
        for number in range(4):
            ask(run, number)
            run.record_reports([report(number, 300, width=2)], lane_s=number + 2.0)
            traces = 2.0 if number % 2 == 0 else 0.0
            ledger = {"train_s": number + 0.5, "evaluate_s": 0.5, "compile_s": 1.0, "traces": traces}
            run.record_outcome(replace(outcome(number), ledger=ledger))
        run.close("finished", ledger={"slots": {"working_s": 12.0}})
    return root / "study"


def test_a_run_s_times_come_from_what_it_recorded(tmp_path: Path) -> None:
    times = measured_times(recorded(tmp_path), replicates=1)
    assert times == Times({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}, 2.5, COMPILE_S, START_S)
    assert measured_times(tmp_path / "study", replicates=2).run_s == {0: 0.5, 1: 1.0, 2: 1.5, 3: 2.0}
    with pytest.raises(RunDirError, match="is not a run directory"):
        measured_times(tmp_path, replicates=1)


@pytest.mark.parametrize(("nodes", "work_s"), [(4, 4.0), (1, 1.0 + 2.0 + 3.0 + 4.0)])
def test_a_plan_from_a_run_takes_its_times(nodes: int, work_s: float) -> None:
    times = Times({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}, 2.5, COMPILE_S, START_S)
    found = forecast(parse(STUDY, "study.yaml"), LINE, nodes=nodes, times=times, progress=Quiet())
    assert found.makespan_s == pytest.approx(START_S + COMPILE_S + work_s)


def test_lanes_share_the_time_of_the_steps_that_they_take_together(tmp_path: Path) -> None:
    reports = [(0, 1.0, 1), (0, 3.0, 4), (1, 2.0, 4), (1, 2.0, 4)]
    rest = {"examples": 1, "epoch": 0.0, "updates": 1, "attempt": 0, "lane": 0, "host": "", "metrics": {}}
    with (tmp_path / "log.jsonl").open("wb") as log:
        for trial, lane_s, width in reports:
            fields = {"trial": trial, "replicate": 0, "lane_s": lane_s, "width": width, **rest}
            log.write(encode("report", 0.0, fields))
        ledger = {"slots": {"working_s": 7.0}}
        log.write(encode("closed", 0.0, {"reason": "finished", "ledger": ledger}))
    read = read_log(tmp_path)
    assert read.share(0) == (1.0 + 2.0 / 4) / 3.0
    assert read.share(1) == 1 / 4
    assert read.share(2) == 1.0, "nothing is known of it"
    assert read.working_s == 7.0


@pytest.mark.slow
def test_plan_on_the_command_line(folder: Folder) -> None:
    result = folder.sweep("plan", "study.yaml", "--nodes", "2", "--trial-seconds", "60")
    assert result.returncode == 0, result.stderr
    assert "4 trials on 2 nodes in 2m 00s" in result.stdout
    assert folder.sweep("plan", "study.yaml", "--nodes", "2").returncode == 2
    assert not folder.runs.exists()


def test_the_simulated_clock_only_goes_forward() -> None:
    seen = []
    wait = SimulatedExecutor.wait

    def watching(self: SimulatedExecutor, timeout_s: float) -> list[object]:
        seen.append(self.now)
        return list(wait(self, timeout_s))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimulatedExecutor, "wait", watching)
        plan(20, 4, mtbf_s=300.0)
    assert seen == sorted(seen)
