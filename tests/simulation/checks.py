"""What must hold when a history has come to its end."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

from runlog import layout, ranking
from runlog.integrity.descent import contradictions
from runlog.layout import CheckpointName
from runlog.reader import read_batches
from runlog.records import Record
from runlog.study import StudyState
from sweep.rundir.history import read_history
from sweep.scheduler.endings import FINISHED_BY_HAND, PRUNED_BY_HAND
from sweep.search.storage import StudyStorage
from sweep.search.study import Study
from sweep.spec.edited import edits as editing
from sweep.spec.plans import longest
from sweep.spec.points import Points
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, RunId, Snapshot, TrialState
from tests.simulation import steering
from tests.simulation.history import Failed, History, folder, without_tables
from tests.simulation.recipe import Recipe
from tests.simulation.studies import DESCRIPTION, EVERY, METRIC, content, study

INDEPENDENT = ("random", "grid")

BY_HAND = (PRUNED_BY_HAND, FINISHED_BY_HAND)


def require(holds: object, what: str) -> None:
    if not holds:
        raise Failed(what)


def play(recipe: Recipe) -> History:
    """Play a history and check it. Raises whatever went wrong."""
    random.seed(recipe.seed)
    with folder() as root, without_tables():
        history = History(recipe, root)
        history.run()
        if recipe.in_memory:
            _check_told(history, history.told)  # type: ignore[arg-type]
        else:
            _check_run(history)
    return history


def _check_run(history: History) -> None:
    run = history.root / "simulated"
    log = _log(run)
    found = read_history(run)
    history.lineage = found.study.lineage if history.recipe.sampler == "pbt" else None
    require(not found.damage, f"a torn line must be cut off: {found.damage}")
    require(not found.unfinished, f"trials are left unfinished: {sorted(found.unfinished)}")
    told = Counter(record["trial"] for record in log if record["event"] == "told")
    asked = Counter(record["trial"] for record in log if record["event"] == "asked")
    require(set(told.values()) <= {1}, f"a trial must be told once: {told}")
    require(set(asked.values()) <= {1}, f"a trial must be asked once: {asked}")
    require(told.keys() == asked.keys(), f"all that are asked are told: {asked.keys() ^ told.keys()}")
    steering.check(history, log, found.told, found.study, require)
    _check_told(history, found.told, retried=len(found.study.retried))
    _check_stops(history, log)
    _check_reports(history, log, found.told)
    _check_decisions(history, log)
    _check_optuna(history, found.told, found.study)
    _check_params(history, log)
    _check_grid(history, found.study)
    _check_order(history, log)
    _check_checkpoints(history, found.checkpoints, found.told)
    _check_best_are_kept(history, found.checkpoints, found.told)


def _log(run: Path) -> list[dict[str, Any]]:
    batches = read_batches(run / layout.LOG, on_damage=lambda each: None)
    return [record for batch in batches for record in batch]


def _check_stops(history: History, log: list[dict[str, Any]]) -> None:
    """Where what all trials need is away, a session stops after a few of them have failed."""
    most, in_a_row = history.recipe.stop_after, 0
    for record in log:
        if record["event"] == "opened":
            in_a_row = 0
        elif record["event"] == "told":
            broke = record["state"] == "FAIL" and str(record["reason"]).startswith("a simulated")
            in_a_row = in_a_row + 1 if broke else 0
            require(
                most is None or in_a_row <= most, f"{in_a_row} trials broke in a row, and none stopped it"
            )


def _check_told(history: History, told: dict[int, Outcome], *, retried: int = 0) -> None:
    recipe = history.recipe
    require(sorted(told) == list(range(len(told))), f"numbers go up one by one: {sorted(told)}")
    grid = 5 * recipe.programs if recipe.sampler == "grid" else 10**6
    is_edited_grid = recipe.sampler == "grid" and recipe.edits_space  # which `_check_grid` counts
    most = min(max(history.last_budget, history.asked_before_last - retried), grid)
    is_set = any(each.verb == "budget" for each in recipe.requests)  # to less than runs, it may be
    if recipe.patience is None and not is_edited_grid and not is_set:
        require(
            len(told) - retried == most, f"{len(told)} trials ended of {most}, and {retried} to ask again"
        )
    ends = recipe.reports * EVERY
    for number, outcome in told.items():
        expected = [history.value(RunId(number, each), ends) for each in range(recipe.replicates)]
        if outcome.reason in BY_HAND:
            continue
        if outcome.state is TrialState.COMPLETE:
            mean = expected[0] if len(expected) == 1 else sum(expected) / len(expected)
            require(outcome.values == (mean,), f"trial {number} is {outcome.values}, not {mean}")
        elif outcome.state is TrialState.FAIL:
            may = recipe.timeout_s is not None or number in history.to_blame
            require(may, f"trial {number} failed, and no fault was its own: {outcome.reason}")
        else:
            require(recipe.pruner != "none", f"trial {number} was pruned without a pruner")


def _check_reports(history: History, log: list[dict[str, Any]], told: dict[int, Outcome]) -> None:
    recipe = history.recipe
    rows = [record for record in log if record["event"] == "report"]
    expected_values = history.expected(log)
    seen = Counter((row["trial"], row["replicate"], row["examples"]) for row in rows)
    require(set(seen.values()) <= {1}, f"a row must be recorded once: {seen}")
    for row in rows:
        expected = expected_values[row["trial"], row["replicate"], row["examples"]]
        require(row["metrics"][METRIC] == expected, f"a row must hold what the run reported: {row}")
    by_run: dict[tuple[int, int], list[int]] = {}
    for trial, replicate, examples in seen:
        by_run.setdefault((trial, replicate), []).append(examples)
    for run, examples in by_run.items():
        every = list(range(EVERY, EVERY * (len(examples) + 1), EVERY))
        require(sorted(examples) == every, f"reports of {run} must have no gap: {sorted(examples)}")
    for number, outcome in told.items():
        if outcome.state is TrialState.COMPLETE and outcome.reason not in BY_HAND:
            counts = [len(by_run.get((number, each), ())) for each in range(recipe.replicates)]
            require(set(counts) == {recipe.reports}, f"trial {number} must have all its reports: {counts}")


def _check_decisions(history: History, log: list[dict[str, Any]]) -> None:
    """Members are decided on once at each boundary, after their report and before the next one."""
    recipe = history.recipe
    if recipe.sampler != "pbt":
        return
    wrong = next(contradictions(log), None)
    require(wrong is None, f"decisions fit the reports: {wrong}")
    reported: dict[int, int] = {}
    judged: dict[int, int] = {}
    interval = recipe.interval * EVERY
    for record in log:
        if record["event"] == "report":
            number, examples = record["trial"], record["examples"]
            due = (examples - 1) // interval * interval
            require(judged.get(number, 0) == due, f"trial {number} passed {due} undecided: {record}")
            reported[number] = examples
        elif record["event"] == "evolved":
            for number, examples in record["judged"]:
                require(reported[number] == examples, f"{number} is decided on where it stands: {record}")
                require(judged.get(number, 0) < examples, f"{number} is decided on once: {record}")
                judged[number] = examples
            for change in record["changes"]:
                require([change["trial"], change["examples"]] in record["judged"], f"{change} is not judged")
                require(reported[change["source"]] >= change["examples"], f"{change} copies what is not yet")


def _check_optuna(history: History, told: dict[int, Outcome], found: StudyState) -> None:
    """The journal says the same as the log, of trials of another space what of them fits."""
    spec = _as_recorded(history, study(history.recipe, trials=history.last_budget), found.edits)
    edited = editing.edited(spec, found.edits, found.trials)
    storage = StudyStorage(spec, history.root / "simulated" / layout.JOURNAL, edited)
    theirs = storage.told()
    values = {trial.number: dict(trial.params) for trial in storage.trials()}
    left_out = storage.left_out
    storage.close()
    fits = edited.fits
    for number, row in found.trials.items():
        expected = dict(fits[number].params) if number in fits else row.params
        require(values[number] == expected, f"Optuna must have trial {number} as {expected}: {values}")
    misfits = {number for number, fit in fits.items() if fit.misfit is not None}
    require(left_out == misfits, f"samplers must not see {misfits}, and do not see {left_out}")
    require(theirs.keys() == told.keys(), f"Optuna must know the same ends: {theirs.keys() ^ told.keys()}")
    for number, outcome in told.items():
        same = theirs[number].state is outcome.state
        if outcome.state is TrialState.COMPLETE:
            same = same and theirs[number].values == outcome.values
        require(same, f"Optuna must know trial {number} as the log does: {theirs[number]}, {outcome}")


def _check_params(history: History, log: list[dict[str, Any]]) -> None:
    """A sampler that does not learn proposes the same, whatever happens."""
    recipe = history.recipe
    if recipe.sampler not in INDEPENDENT or recipe.patience is not None:
        return
    asked: dict[int, dict[str, Any]] = {}
    space = json.dumps(history.first_space or editing.values_of(study(recipe)))
    for record in log:
        if record["event"] == "edited":
            space = json.dumps(record["after"])
        if record["event"] != "asked":
            continue
        number, again = record["trial"], record.get("retries")
        asked[number] = record
        expected = _undisturbed(recipe.sampler, space)
        if "enqueued" in record:
            continue
        if again is not None:
            same = record["params"] == asked[again]["params"]
            require(same or recipe.edits_space, f"a trial is asked again as it was: {record}, {asked[again]}")
        elif recipe.sampler != "grid" or not (
            recipe.edits_space or any("retries" in each for each in asked.values())
        ):
            same = record["params"] == expected[number]
            require(same, f"proposals must not depend on what happens: {record}")


def _check_order(history: History, log: list[dict[str, Any]]) -> None:
    """In a fixed order all trials are as they are where nothing goes wrong, on one worker with one lane."""
    recipe = history.recipe
    found = _table(log)
    if (recipe.lag is None and not recipe.together) or history.to_blame:
        return
    quiet = Recipe(
        0,
        trials=max(history.last_budget, len(found)),
        lag=recipe.lag,
        **{name: getattr(recipe, name) for name in SAME},
    )
    expected = _undisturbed_table(quiet)
    for number, row in found.items():
        require(row == expected.get(number), f"trial {number} must be {expected.get(number)}: {row}")
    require(len(found) == len(expected), f"{len(expected)} trials must be asked, not {len(found)}")


SAME = (
    "replicates", "reports", "programs", "sampler", "pruner", "patience", "fixed", "interval", "together",
)  # fmt: skip
"""What of a recipe a study in a fixed order depends on, beside its trials and its lag."""


@lru_cache(512)
def _undisturbed_table(recipe: Recipe) -> dict[int, tuple[object, ...]]:
    with folder() as root:
        History(recipe, root).run()
        return _table(_log(root / "simulated"))


def _table(log: list[dict[str, Any]]) -> dict[int, tuple[object, ...]]:
    """Of each trial its hyperparameters, its end and its reports."""
    rows: dict[int, dict[tuple[int, int], float]] = {}
    for record in log:
        if record["event"] == "report":
            place = (record["examples"], record["replicate"])
            rows.setdefault(record["trial"], {})[place] = record["metrics"][METRIC]
    ends = {record["trial"]: record for record in log if record["event"] == "told"}
    return {
        each["trial"]: (
            each["params"],
            ends[each["trial"]]["state"],
            ends[each["trial"]]["values"],
            sorted(rows.get(each["trial"], {}).items()),
        )
        for each in log
        if each["event"] == "asked"
    }


MOST_ASKED = 40
"""More than a history asks for."""


@lru_cache(64)
def _undisturbed(sampler: str, space: str) -> list[dict[str, Any]]:
    spec = study(Recipe(0, trials=MOST_ASKED, sampler=sampler))
    spec = editing.with_values(spec, json.loads(space))
    search = Study(spec, None, longest(spec, DESCRIPTION))
    return [dict(proposal.params) for proposal in search.ask(MOST_ASKED)]


def _check_grid(history: History, found: StudyState) -> None:
    """Of a grid that was edited no point is tried twice, and all are, as far as the budget goes."""
    recipe = history.recipe
    if recipe.sampler != "grid" or not recipe.edits_space or recipe.patience is not None:
        return
    spec = _as_recorded(history, study(history.recipe), found.edits)
    fits = editing.edited(spec, found.edits, found.trials).fits
    tried = Counter(
        tuple(sorted((fits[number].params if number in fits else row.params).items()))
        for number, row in found.trials.items()
        if row.retries is None and (number not in fits or fits[number].exact)
    )
    require(set(tried.values()) <= {1}, f"a point of the grid must be tried once: {tried}")
    used = len(found.trials) - len(found.retried)
    whole = len(tried) == Points(spec).total
    require(whole or used >= history.last_budget, f"{len(tried)} points were tried in {used} trials")


def _as_recorded(history: History, spec: StudySpec, edits: list[Record]) -> StudySpec:
    """The study with its space as the log has it last."""
    values = edits[-1]["after"] if edits else history.first_space
    return editing.with_values(spec, values) if values else spec


def _check_best_are_kept(history: History, recorded: dict[str, Snapshot], told: dict[int, Outcome]) -> None:
    """The best trials have their final checkpoints, whoever died between a trial's end and their arrival."""
    recipe = history.recipe
    is_excused = (
        recipe.patience is not None  # a trial that ends early has none
        or recipe.timeout_s is not None  # to make it again takes lane time, too
        or any(each.kind in ("corrupt", "double") for each in recipe.faults)  # a transfer is damaged
        or any(each.kind in ("remove", "checkpoints") for each in recipe.edits)
        or any(each.verb in ("keep", "finish") for each in recipe.requests)
    )
    if is_excused:
        return
    finals = {each.run for each in recorded.values() if each.final}
    best = ranking.best(list(told.values()), ["minimize"])[: recipe.keep_best]
    for number in {each.number for each in best} - history.to_blame:
        runs = {RunId(number, replicate) for replicate in range(recipe.replicates)}
        require(runs <= finals, f"trial {number} is one of the best, its final checkpoints are {finals}")


def _check_checkpoints(history: History, recorded: dict[str, Any], told: dict[int, Outcome]) -> None:
    run = history.root / "simulated"
    files = {
        path.relative_to(run).as_posix() for path in (run / layout.CHECKPOINTS).rglob("*") if path.is_file()
    }
    require(files == set(recorded), f"checkpoints are those that are recorded: {files ^ set(recorded)}")
    for path, snapshot in recorded.items():
        data = (run / path).read_bytes()
        require(hashlib.sha256(data).hexdigest() == snapshot.sha256, f"{path} must be as it was recorded")
        name = CheckpointName.parse(path)
        assert name is not None
        if history.lineage is not None:
            state = history.state_of(name.trial, name.examples)
            whole = data == f"{name.trial} {name.examples} {state}".encode()
        else:
            whole = data == content(RunId(name.trial, name.replicate), name.examples)
        require(whole, f"{path} must hold that run's state")
        require(name.trial in told, f"{path} is of no trial")
