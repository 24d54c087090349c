"""What has happened in a run directory, from its files alone, beside its writer or after it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runlog import layout
from runlog.integrity import wholeness
from runlog.reader import UnreadableLogError, read_batches, whole_bytes
from runlog.steered import Answered
from runlog.study import StudyState, read_study
from sweep.api.overview.question import question
from sweep.api.overview.workers import KINDS, Workers, hours_text, scan
from sweep.driver.steering import channel
from sweep.errors import RunDirError
from sweep.rundir.lock import holder
from sweep.rundir.naming import check_log
from sweep.vocabulary.trial import Scalar

_TAIL_BYTES = 1 << 18
_RATE_OVER_S = 60.0
SHOWN_REQUESTS = 5


@dataclass(frozen=True)
class Best:
    """The best COMPLETE trial; with several objectives one that no other dominates."""

    number: int
    values: tuple[float, ...]
    params: Mapping[str, Scalar]


@dataclass(frozen=True)
class Status:
    """A study at a glance.

    `pid` is the live writer's, None where none writes; `trials` counts by state; `budget_trials` is the
    total asked for; `reports_per_s` is over the last minute of reports; `last_report` is in seconds since
    1970; `ledger` says where the last session's time went; `closed` is why the last session ended, None
    where it runs or was killed; `damage` names lines that cannot be read. `diverged` of the failed trials had
    a loss that was not finite. `paused` is since when the study is paused, in seconds since 1970; `requests`
    are the last things that were asked by hand, with their answers, `unanswered` counts those without one.
    `tags` and `notes` are those of the run itself. `question` says what it asks; `node_s` for how many
    seconds it held each node's workers, all together; `workers` how many it has on each node, while it runs.
    """

    name: str
    run_dir: str
    pid: int | None
    sessions: int
    closed: str | None
    trials: Mapping[str, int]
    budget_trials: int | None
    objectives: tuple[tuple[str, str], ...]
    best: Best | None
    reports: int
    last_report: float | None
    reports_per_s: float
    started: float | None
    messages: tuple[str, ...]
    ledger: Mapping[str, Any]
    damage: tuple[str, ...]
    diverged: int = 0
    paused: float | None = None
    requests: tuple[Answered, ...] = ()
    unanswered: int = 0
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    question: str = ""
    node_s: Mapping[str, float] = field(default_factory=dict)
    workers: Mapping[str, int] = field(default_factory=dict)


def read_status(run_dir: str | Path) -> Status:
    """Summarise a run directory. Raises RunDirError where there is none, or one of a newer version."""
    run_dir = Path(run_dir)
    log = run_dir / layout.LOG
    workers = Workers()
    study, damage = load_study_state(run_dir, workers)
    found = scan(log)
    times = _last_report_times(log)
    pid = holder(run_dir / layout.LOCK)
    return Status(
        name=run_dir.resolve().name,
        run_dir=str(run_dir),
        pid=pid,
        sessions=study.sessions,
        closed=study.closed,
        trials=study.counts(),
        budget_trials=study.budget_trials,
        objectives=tuple(study.objectives),
        best=_best(study),
        reports=found.reports,
        last_report=times[-1] if times else None,
        reports_per_s=_rate(times),
        started=min((row.asked for row in study.trials.values() if row.asked), default=None),
        ledger=study.ledger,
        messages=tuple(text for _, _, text in study.messages[-5:]),
        damage=damage,
        diverged=sum(row.diverged for row in study.trials.values()),
        paused=study.steered.paused,
        requests=tuple(study.steered.answered.values())[-SHOWN_REQUESTS:],
        unanswered=channel.count(run_dir),
        tags=tuple(study.steered.tags.get(None, ())),
        notes=tuple(each.text for each in study.steered.remarks.get(None, ())),
        question=question(study),
        node_s=workers.seconds(found.ends if pid is None else (*found.ends[:-1], time.time())),
        workers={} if pid is None else workers.held,
    )


def load_study_state(run_dir: Path, workers: Workers | None = None) -> tuple[StudyState, tuple[str, ...]]:
    """The study and its trials, and the lines of the log that cannot be read; `workers` takes in theirs.

    Raises RunDirError where there is no run directory, or one of a newer version.
    """
    damage: list[str] = []
    check_log(run_dir)
    try:
        study = read_study(
            run_dir,
            on_damage=lambda each: damage.append(str(each)),
            also=() if workers is None else KINDS,
            add=None if workers is None else workers.add,
        )
        damage += wholeness.problems(run_dir)
    except UnreadableLogError as error:
        raise RunDirError(str(error)) from error
    except OSError as error:
        raise RunDirError(f"{run_dir}: cannot be read: {error.strerror or error}") from error
    return study, tuple(damage)


def _best(study: StudyState) -> Best | None:
    for row in study.best():
        return Best(row.number, row.values or (), row.final_params)
    return None


def _last_report_times(log: Path) -> list[float]:
    """Times of the reports near the end of the log, in its order; damage is named by `load_study_state`."""
    stop = whole_bytes(log)
    start = max(0, stop - _TAIL_BYTES)
    if start:
        with log.open("rb") as file:
            file.seek(start)
            start += len(file.readline())
    batches = read_batches(log, start=start, stop=stop, kinds=("report",), on_damage=lambda _: None)
    return [float(record["time"]) for batch in batches for record in batch]


def _rate(times: list[float]) -> float:
    recent = [each for each in times if each >= times[-1] - _RATE_OVER_S]
    span = max(recent) - min(recent) if recent else 0.0
    return (len(recent) - 1) / span if span > 0 else 0.0


def as_text(status: Status, *, now: float | None = None) -> str:
    """The summary as lines for a terminal; `now` is in seconds since 1970."""
    counts = (
        ", ".join(f"{count} {state.lower()}" for state, count in status.trials.items()) or "no trials yet"
    )
    counts += f" ({status.diverged} diverged)" if status.diverged else ""
    total = f" of {status.budget_trials}" if status.budget_trials is not None else ""
    lines = [f"{status.name}: {counts}{total}; {liveness(status)}"]
    if status.best is not None:
        named = zip(status.objectives, status.best.values, strict=False)
        values = ", ".join(f"{metric} {value:.6g}" for (metric, _), value in named)
        params = ", ".join(f"{name}={value}" for name, value in status.best.params.items())
        lines.append(f"best: trial {status.best.number}, {values}: {params}")
    if status.last_report is not None:
        age_s = (time.time() if now is None else now) - status.last_report
        lines.append(
            f"reports: {status.reports}, {status.reports_per_s:.1f} a second, the last {age_s:.0f} s ago"
        )
    if status.ledger:
        spent = {**status.ledger["driver"], **status.ledger["slots"]}
        times = ", ".join(f"{name.removesuffix('_s')} {seconds:.1f}" for name, seconds in spent.items())
        lines.append(f"seconds of the last session, {status.ledger['wall_s']:.1f} in all: {times}")
    lines += [f"hours of workers: {hours_text(status.node_s)}"] if status.node_s else []
    lines += [f"tags: {' '.join(status.tags)}"] if status.tags else []
    lines += [f"note: {text}" for text in status.notes]
    lines += [f"asked: {each}" for each in status.requests]
    lines += [f"asked: {status.unanswered} requests are not answered yet"] if status.unanswered else []
    lines += [f"message: {text}" for text in status.messages]
    lines += [f"damaged: {text}" for text in status.damage]
    return "\n".join(lines)


def liveness(status: Status) -> str:
    """Whether a process writes there, and else why none does."""
    if status.pid is not None:
        return f"{'running' if status.paused is None else 'paused'}, process {status.pid}"
    if status.paused is not None:
        return (
            f"paused, and no process runs it; python -m sweep resume {status.run_dir}, then its own command"
        )
    if not status.sessions and not status.trials:
        return "nothing has been recorded yet"
    if status.closed is None:
        return "killed; run the same command to resume"
    return status.closed
