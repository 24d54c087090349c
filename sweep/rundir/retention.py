"""Which checkpoints may go: a decision from plain values, nothing is touched here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from runlog import ranking
from sweep.vocabulary.trial import Outcome, RunId, Snapshot


def superseded(
    checkpoints: Sequence[Snapshot],
    *,
    told: Mapping[int, Outcome],
    directions: Sequence[str],
    keep_best: int,
    keep_best_report: bool = False,
    max_bytes: int | None = None,
    starred: Collection[int] = (),
) -> list[Snapshot]:
    """Choose the checkpoints to delete, those first that are missed least.

    Kept are the last checkpoint of each run of a trial not told yet, since it resumes from there, and
    the final ones of the `keep_best` best COMPLETE trials, or those of the best report where they ended
    early; with `keep_best_report` the one of each such run's best report too. Where these exceed
    `max_bytes`, the worst of the best go too; what unfinished and `starred` trials need stays whatever its
    size.
    """
    best_reports = _best_of_each_run(checkpoints, directions[0])
    last = _last_of_each_run(checkpoints)
    for run, each in best_reports.items():
        if run.trial in told and not last[run].final:
            last[run] = each
    ranks = _ranks(last.values(), told, directions)
    best = {number for number, rank in ranks.items() if rank < keep_best}
    stay = dict.fromkeys(last.values())
    if keep_best_report:
        stay |= dict.fromkeys(best_reports.values())
    needed = [each for each in stay if each.trial not in told or each.trial in starred]
    kept = [each for each in stay if each.trial in best and each.trial not in starred]
    kept.sort(key=lambda each: (ranks[each.trial], each.replicate, each.examples))
    keeping = {each.path for each in (*needed, *kept)}
    deleted = [each for each in checkpoints if each.path not in keeping]
    if max_bytes is not None:
        total = sum(each.bytes for each in (*needed, *kept))
        while kept and total > max_bytes:
            number = kept[-1].trial
            while kept and kept[-1].trial == number:  # replicates of a trial go together
                total -= kept[-1].bytes
                deleted.append(kept.pop())
    return deleted


def _last_of_each_run(checkpoints: Iterable[Snapshot]) -> dict[RunId, Snapshot]:
    last: dict[RunId, Snapshot] = {}
    for each in checkpoints:
        if each.run not in last or each.examples > last[each.run].examples:
            last[each.run] = each
    return last


def _best_of_each_run(checkpoints: Iterable[Snapshot], direction: str) -> dict[RunId, Snapshot]:
    """Where each run's value was best; of equal ones the first."""
    sign = -1 if direction == "maximize" else 1
    order = {each: sign * each.value for each in checkpoints if each.value is not None}
    best: dict[RunId, Snapshot] = {}
    for each in sorted(order, key=lambda each: (order[each], each.examples)):
        best.setdefault(each.run, each)
    return best


def _ranks(
    last: Iterable[Snapshot], told: Mapping[int, Outcome], directions: Sequence[str]
) -> dict[int, int]:
    """Rank, 0 the best, the trials whose final checkpoint is there, or that of their best report."""
    held = {each.trial for each in last if each.final or each.value is not None}
    ranked = ranking.best([told[number] for number in held & told.keys()], directions)
    return {outcome.number: rank for rank, outcome in enumerate(ranked)}
