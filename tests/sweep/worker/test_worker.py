"""A worker without an executor: turns in, answers out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import pytest

from sweep.vocabulary.trial import Length, RunId, Scalar, Stretch, TrialPlan
from sweep.vocabulary.turn import Load, Probe, TaskRef, Trainable, Turn, TurnResult, WorkerSettings
from sweep.worker import width_cache
from sweep.worker.worker import Worker
from tests.sweep.conftest import STUDIES
from train_core import device

SIGNATURE = (("gradient_clip", False), ("micro_batch_size", 16), ("optimizer", "sgd"), ("slow", 0.0))
VALUES: dict[str, Scalar] = {**dict(SIGNATURE), "learning_rate": 0.01, "accumulation_steps": 1}
PLAN = TrialPlan(0, 3, VALUES, SIGNATURE, Length(192, 64))


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(WorkerSettings(TaskRef(str(STUDIES), "line.py:Line"), None, keep_final=False))
    yield made
    made.close()


@pytest.mark.parametrize("other", [{"number": 1}, {"seed": 4}, {"replicate": 1}, {}])
def test_a_checkpoint_of_another_run_is_refused(worker: Worker, other: dict[str, int]) -> None:
    other = dict(other)
    assert worker.turn(Turn(0, SIGNATURE, 1, loads=(Load(0, PLAN, 0, 1),))).error is None
    (saved,) = worker.turn(Turn(1, SIGNATURE, 1, advance=False)).snapshots
    replicate = other.pop("replicate", 0)
    load = Load(0, replace(PLAN, **other), replicate, 1, saved.path)  # type: ignore[arg-type]
    result = worker.turn(Turn(2, SIGNATURE, 1, drops=(0,), loads=(load,)))
    if other or replicate:
        assert result.error is not None
        assert f"is of another run than trial {load.plan.number}, replicate {replicate}" in result.error
    else:
        assert (result.error, [report.examples for report in result.reports]) == (None, [128])


WATCHDOG = (
    "[METAL] Command buffer execution failed: Impacting Interactivity "
    "(0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)."
)


def failing_after(calls: int, plain: Callable[[], None]) -> Callable[[], None]:
    """`mx.synchronize` of a GPU whose watchdog strikes; evaluation itself says nothing."""
    left = [calls]

    def synchronize() -> None:
        plain()
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError(WATCHDOG)

    return synchronize


@pytest.mark.parametrize("calls", [0, 1])
def test_a_report_or_a_snapshot_of_a_gpu_that_failed_is_never_given_out(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """With one good synchronisation it is the snapshot that comes after the failure."""
    monkeypatch.setattr(mx, "synchronize", failing_after(calls, mx.synchronize))
    result = worker.turn(Turn(0, SIGNATURE, 1, loads=(Load(0, PLAN, 0, 1),)))
    if calls:
        assert result.error is None
        result = worker.turn(Turn(1, SIGNATURE, 1, advance=False))
    assert (result.reports, result.snapshots) == ((), ())
    assert (result.device_lost, result.out_of_memory) == (True, False)
    assert WATCHDOG in (result.error or "")


def test_mlx_keeps_little_of_what_arrays_have_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself it keeps nearly all of a Mac's memory, and that would count as the worker's."""
    limits: list[int] = []

    def set_cache_limit(limit: int) -> int:
        limits.append(limit)
        return 7

    monkeypatch.setattr(mx, "set_cache_limit", set_cache_limit)
    made = Worker(
        WorkerSettings(TaskRef(str(STUDIES), "line.py:Line"), None, keep_final=False, limit_bytes=4e9)
    )
    made.close()
    assert limits == [1_000_000_000, 7]


@pytest.mark.usefixtures("uncompiled")
def test_a_measured_width_says_what_limits_it(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path))
    result = worker.turn(Turn(0, SIGNATURE, 1, probe=Probe(PLAN, 1, 1e9)))
    assert result.error is None
    assert set(result.rates or ()) == {1}
    assert result.notes == ("lanes: 1 train fastest; limit: widths up to 1 were asked for",)


@pytest.mark.parametrize(("cuda", "given"), [(True, None), (True, "elsewhere"), (False, None)])
def test_cudas_kernels_are_kept_with_what_the_host_keeps(
    cuda: bool, given: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path))
    monkeypatch.setattr(device, "cuda", lambda: cuda)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLX_")}
    monkeypatch.setattr(os, "environ", {**kept, **({"MLX_PTX_CACHE_DIR": given} if given else {})})
    width_cache.prepare_cuda()
    own = str(tmp_path / "kernels" / version("mlx")) if cuda else None
    assert os.environ.get("MLX_PTX_CACHE_DIR") == (given or own)


@pytest.mark.parametrize("cuda", [True, False])
def test_cudas_caches_of_plans_end_no_study(cuda: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cuda", lambda: cuda)
    monkeypatch.setattr(os, "environ", {"MLX_CUDA_FFT_CACHE_SIZE": "7"})
    width_cache.prepare_cuda()
    set_here = {name: value for name, value in os.environ.items() if name != "MLX_PTX_CACHE_DIR"}
    sizes = {f"MLX_CUDA_{name}_CACHE_SIZE": "4096" for name in ("CONV", "GRAPH", "SDPA", "SDPA_BACKWARD")}
    also = {**sizes, "MLX_ENABLE_CACHE_THRASHING_CHECK": "0"} if cuda else {}
    assert set_here == {"MLX_CUDA_FFT_CACHE_SIZE": "7", **also}


LONG = replace(PLAN, length=Length(3 * 64, 3 * 64))


def cut_short_turn(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> TurnResult:
    """A first turn of a long trial that is cut short after two micro-batches."""
    plain = mx.synchronize

    def interrupted() -> None:
        plain()
        worker.cut_short()  # as the actor's other thread does, in the midst of the turn

    monkeypatch.setattr("sweep.worker.snapshots.FIRST_MICRO_BATCHES", 2)
    with monkeypatch.context() as patch:
        patch.setattr(mx, "synchronize", interrupted)
        return worker.turn(Turn(0, SIGNATURE, 1, loads=(Load(0, LONG, 0, 1),)))


def test_a_turn_that_is_cut_short_ends_before_its_report_and_is_saved_where_it_stands(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C must not wait for the next report of a slow model. The steps on the way change no bit."""
    cut = cut_short_turn(worker, monkeypatch)
    assert (cut.error, cut.reports, cut.finished) == (None, (), ())
    assert cut.spent[RunId(0, 0)].examples == 2 * 16
    after = worker.turn(Turn(1, SIGNATURE, 1))
    assert (after.reports, after.snapshots) == ((), ())
    (saved,) = worker.turn(Turn(2, SIGNATURE, 1, advance=False)).snapshots
    assert saved.examples == 2 * 16
    reported = []
    for checkpoint in (None, saved.path):
        other = Worker(WorkerSettings(TaskRef(str(STUDIES), "line.py:Line"), None, keep_final=False))
        result = other.turn(Turn(0, SIGNATURE, 1, loads=(Load(0, LONG, 0, 1, checkpoint),)))
        reported.append([(each.examples, each.metrics) for each in result.reports])
        other.close()
    assert reported[0] == reported[1]
    assert [examples for examples, _ in reported[0]] == [3 * 64]


def test_a_turn_after_one_that_is_cut_short_drops_no_lane(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next turn was given out while this one trained: its lanes are planned to be free by then."""
    cut_short_turn(worker, monkeypatch)
    another = (*SIGNATURE[:-1], ("slow", 0.001))
    worker.turn(Turn(1, another, 1, loads=(Load(0, replace(LONG, number=1), 0, 1),)))
    (saved,) = worker.turn(Turn(2, another, 1, advance=False)).snapshots
    assert (saved.trial, saved.examples) == (0, 2 * 16)


def test_a_function_that_is_cut_short_is_not_asked_for_its_next_report(tmp_path: Path) -> None:
    (tmp_path / "count.py").write_text(
        "def train(trial):\n"
        "    for step in range(1, 4):\n"
        "        trial.save(step=step)\n"
        "        yield {'examples': step, 'loss': 1.0}\n"
    )
    task = TaskRef(str(tmp_path), "count.py:train")
    made = Worker(
        WorkerSettings(
            task, None, keep_final=False, objective=("loss", "minimize"), trainable=Trainable.FUNCTION
        )
    )
    plan = TrialPlan(0, 3, {}, (), Length(3, 1))
    assert [each.examples for each in made.turn(Turn(0, (), 1, loads=(Load(0, plan, 0, 1),))).reports] == [1]
    made.cut_short()
    assert made.turn(Turn(1, (), 1)).reports == ()
    made.close()


IN_PIECES = replace(PLAN, past=(Stretch(128, 5, {**VALUES, "learning_rate": 0.1, "accumulation_steps": 2}),))


@pytest.mark.parametrize("plan", [PLAN, IN_PIECES], ids=["plain", "in pieces"])
def test_several_reports_in_one_turn_are_those_of_several_turns(worker: Worker, plan: TrialPlan) -> None:
    load = Load(0, plan, 0, 1)
    together = worker.turn(Turn(0, SIGNATURE, 1, loads=(load,), reports=3))
    alone = [
        worker.turn(Turn(number, SIGNATURE, 1, loads=(load,) if number == 1 else ())) for number in (1, 2, 3)
    ]
    assert together.finished == alone[-1].finished == (RunId(0, 0),)
    found = [(each.examples, each.metrics) for each in together.reports]
    assert found == [(each.examples, each.metrics) for result in alone for each in result.reports]
    assert together.spent[RunId(0, 0)].examples == 192


def test_what_was_reported_before_a_turn_failed_counts(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mx, "synchronize", failing_after(2, mx.synchronize))
    result = worker.turn(Turn(0, SIGNATURE, 1, loads=(Load(0, PLAN, 0, 1),), reports=3))
    assert [each.examples for each in result.reports] == [64, 128]
    assert result.finished == ()
    assert WATCHDOG in (result.error or "")
