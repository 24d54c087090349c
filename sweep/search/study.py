"""The search: ask for proposals, report, judge and tell, with one sampler and one pruner a session."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from sweep.search import optuna_internals, samplers, space, terminators, warm_start
from sweep.search.ends import DIVERGED, STATES, end_of
from sweep.search.fitted import was_tried
from sweep.search.grid import Grid
from sweep.search.pruning import adapters, pruners
from sweep.search.storage import NEVER_ASKED, StudyStorage
from sweep.search.tpe.sampler import TPESampler
from sweep.search.wrappers.distinct import Distinct
from sweep.search.wrappers.in_order import ANY_NAME, InOrder
from sweep.search.wrappers.noted import Noted
from sweep.search.wrappers.rounded import Rounded, rounded_entries
from sweep.search.wrappers.seeing import Seeing, shown
from sweep.spec.conditions import dependency_order
from sweep.spec.edited.edits import Edited
from sweep.spec.order import lag_of
from sweep.spec.points import Points
from sweep.spec.schema import FloatRange, StudySpec
from sweep.vocabulary.trial import BoundaryRow, Length, Outcome, Scalar

RETRIES = "retries"
"""The user attribute of trials that try a failed one again: its number."""

ENQUEUED = "enqueued"
"""The user attribute of trials at points that were asked for by hand: the request's id."""


@dataclass(frozen=True)
class Proposal:
    """What Optuna sampled for one trial; conditional entries that do not apply are absent.

    `notes` is what the sampler wrote down for itself, to be given back should the journal lose it; `retries`
    the number of the failed trial that this one tries again, `enqueued` the request that asked for its point.
    """

    number: int
    params: Mapping[str, Scalar]
    notes: Mapping[str, Any]
    retries: int | None = None
    enqueued: str | None = None


class _Study(optuna.Study):
    """A study that is asked and told: a sampler's `stop` means that it has nothing further to propose."""

    exhausted = False

    def stop(self) -> None:
        self.exhausted = True


class Study:
    """One sampler object and one pruner object for a study's whole session, over its `storage`."""

    def __init__(
        self,
        spec: StudySpec,
        journal: Path | None,
        length: Length,
        *,
        retries: Mapping[int, Mapping[str, Scalar]] | None = None,
        points: Mapping[str, Mapping[str, Scalar]] | None = None,
        edited: Edited | None = None,
        first: int | None = None,
        began: float | None = None,
    ) -> None:
        """`journal` None keeps everything in memory; `retries` are failed trials, to be asked again.

        `points` were asked for by hand, by their requests' ids.

        `edited` says which trials were asked in another space than the study's; `first` is the number of the
        first that was asked at all, `began` when that was, in seconds since 1970.
        """
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._spec = spec
        self._began = began
        self._several = len(spec.objective) > 1
        self._edited = edited or Edited()
        self.storage = StudyStorage(spec, journal, self._edited)
        pruner = pruners.make(spec, length)
        self.rungs = pruners.rungs(pruner, length)
        self.compares_running = optuna_internals.marks_rungs(pruner)
        self._in_order = _in_order(spec, self.storage.backend, self.compares_running)
        self._adapter = adapters.make(spec, pruner)
        self._study = _Study(
            spec.name,
            self.storage.backend if self._in_order is None else self._in_order,  # type: ignore[arg-type]
            sampler=NEVER_ASKED,  # until the study's own is made, from what the storage holds
            pruner=pruner if self._adapter is None else optuna.pruners.NopPruner(),
        )
        self._marks_rungs = optuna_internals.marks_rungs(self._study.pruner)
        if self._in_order is not None:
            optuna_internals.prepare_brackets(self._study)
            self._study.study_name = ANY_NAME
        self.notes: list[str] = []
        self._earlier = self.storage.enter_earlier(self._warm_trials, first) if spec.warm_start else 0
        self._sampler = samplers.make(spec, **self._source_trials())
        self._points = self._points_tried()
        self._study.sampler = self._distinct()
        self._terminator = terminators.make(spec)
        self._order = dependency_order(spec.space)
        self._distributions = space.distributions(spec)
        self._conditions = space.conditions(spec)
        self._random = samplers.RandomPoints(spec.seed, self._distributions, self._conditions)
        self._trials: dict[int, optuna.Trial] = {}
        self._unopened: dict[int, int] = {}
        self._retries = self._that_fit(retries or {})
        self._asked_for = self._untried(points or {})

    notes: list[str]
    """What to say of trials of elsewhere, once."""

    compares_running: bool
    """Whether the pruner compares a trial with others that still run, at rungs that they have passed."""

    def _warm_trials(self) -> list[FrozenTrial]:
        found = warm_start.read(self._spec, self._began)
        self.notes = found.notes
        return found.trials

    @property
    def exhausted(self) -> bool:
        """Whether nothing further is to be proposed."""
        if self._retries or self._asked_for:
            return False
        total = self._points.total
        if total is None or (self._spec.sampler.repeat and not self._is_grid):
            return self._study.exhausted
        enqueued = self.storage.count >= self._earlier + len(self._spec.enqueue)
        return self._study.exhausted or (enqueued and self._points.tried >= total)

    @property
    def exhausted_by(self) -> str | None:
        """Why no further trial can be proposed, in words; None while one can."""
        if not self.exhausted:
            return None
        total = self._points.total
        return f"all {total} points of the space were tried" if total else "the sampler has nothing to add"

    @property
    def follows_reports(self) -> bool:
        """Whether told trials must be entered again with `follow` when a study is resumed."""
        return self._adapter is not None

    def follow(self, number: int, rows: Sequence[BoundaryRow], outcome: Outcome | None) -> None:
        """Show the pruner a trial of an earlier session; numbers go up one by one, from 0."""
        assert self._adapter is not None
        self._adapter.enter(number)
        for row in rows:
            self._adapter.report(number, row)
            self._adapter.should_prune(number, row[0])  # it notes what later ones are compared with
        if outcome is not None:
            self._tell_adapter(outcome)

    def should_terminate(self) -> bool:
        """Whether the study's terminator finds that further trials will not pay."""
        if self._terminator is None:
            return False
        seen = shown(self._study, self.storage.left_out) if self.storage.left_out else self._study
        with self._proposing(self.storage.count):
            return self._terminator.should_terminate(seen)

    def enqueue(self, id: str, point: Mapping[str, Scalar]) -> None:
        """Try a point next, after those that wait: what it leaves open is sampled."""
        self._asked_for[id] = point

    def steer(self, spec: StudySpec) -> None:
        """The study has another rule for when further trials no longer pay."""
        self._terminator = terminators.make(spec)

    def ask(self, count: int) -> list[Proposal]:
        """Up to `count` proposals; fewer once the sampler is exhausted."""
        proposals: list[Proposal] = []
        while len(proposals) < count and not self.exhausted:
            proposals += self._ask_together(count - len(proposals)) or [self._ask()]
        return proposals

    def _ask_together(self, count: int) -> list[Proposal]:
        """Proposals that a sampler makes at once, each as if asked for alone; none where it does not."""
        number = self.storage.count
        has_point = self._asked_for or self._retries or self._point(number) is not None
        if has_point or self._extends(number) is not None or not self.storage.buffered:
            return []
        proposals = []
        for params in self._points_together(number, count):
            if self._adapter is not None:
                self._adapter.enter(self.storage.count)
            proposals.append(Proposal(self.storage.count, params, {}))
            number = self.storage.count
            self._unopened[number] = self.storage.enter_asked(params, self._distributions)
            self._points.enter(params)
        return proposals

    def _points_together(self, number: int, count: int) -> list[dict[str, Any]]:
        """The points of up to `count` trials from this number on."""
        sampler = self._study.sampler
        if isinstance(sampler, TPESampler):
            if self._in_order is not None:
                count = 1  # each sees other trials
            with self._proposing(number):
                return sampler.propose(self._study, count, self._distributions, self._conditions)
        if type(sampler) is optuna.samplers.RandomSampler:
            return [self._random.point(sampler, each) for each in range(number, number + count)]
        return []

    def restore(
        self,
        number: int,
        params: Mapping[str, Scalar],
        notes: Mapping[str, Any],
        values: Sequence[tuple[int, float]],
        outcome: Outcome | None,
    ) -> None:
        """Enter again a trial that the storage has lost, as its `restore` does: its point was tried."""
        note = self._mark_rungs if self._marks_rungs else None
        self.storage.restore(number, params, notes, values, outcome, note)
        fit = self._edited.fits.get(number)
        if fit is None or fit.exact:
            self._points.enter(params if fit is None else fit.params)

    @property
    def is_in_order(self) -> bool:
        """Whether what a trial is judged by depends on the numbers of trials, and on nothing else."""
        return self._in_order is not None

    def catch_up(self, number: int, rows: Sequence[BoundaryRow], outcome: Outcome | None) -> None:
        """Enter what the log has of a trial that the storage holds, and how it ended."""
        trial_id = self.storage.trial_id(number)
        self._trials[number] = self._unsampled(trial_id)
        self.enter_reports(number, rows)
        if outcome is not None:
            self.tell(outcome)

    def enter_reports(self, number: int, rows: Sequence[BoundaryRow]) -> None:
        """Enter what the log has of a running trial, as far as the storage has lost it: nothing is judged."""
        for row in rows:
            self._report(number, row)
        if self._marks_rungs:
            self._mark_rungs(optuna_internals.trial_id(self._live(number)))

    def _mark_rungs(self, trial_id: int) -> None:
        if self._in_order is None:
            optuna_internals.mark_rungs(self._study, trial_id)
            return
        for examples in sorted(self.storage.backend.get_trial(trial_id).intermediate_values):
            self._judge_in_order(self._in_order, trial_id, examples)

    def running(self, asked: Mapping[int, Mapping[str, Scalar]]) -> list[Proposal]:
        """Trials asked and never told, oldest first; one without all hyperparameters is asked again.

        Those that were `asked` in another space keep the hyperparameters that they have.
        """
        found = list[Proposal]()
        for trial in self.storage.trials(optuna.trial.TrialState.RUNNING):
            trial_id, number = optuna_internals.trial_id(trial), trial.number
            if number in self._edited.fits:
                self._trials[number] = self._unsampled(trial_id)
                retries, enqueued = trial.user_attrs.get(RETRIES), trial.user_attrs.get(ENQUEUED)
                found.append(Proposal(number, asked[number], trial.system_attrs, retries, enqueued))
            else:
                with self._proposing(number):
                    found.append(self._suggest(optuna.Trial(self._study, trial_id)))
        return found

    def _live(self, number: int) -> optuna.Trial:
        """A trial that was asked for and not told."""
        if number in self._unopened:
            self._trials[number] = self._unsampled(self._unopened.pop(number))
        return self._trials[number]

    def _unsampled(self, trial_id: int) -> optuna.Trial:
        """A trial that has its hyperparameters: the sampler would propose it others as it is resumed."""
        sampler, self._study.sampler = self._study.sampler, NEVER_ASKED
        try:
            return optuna.Trial(self._study, trial_id)
        finally:
            self._study.sampler = sampler

    def report(self, number: int, row: BoundaryRow) -> None:
        """Enter an objective at a boundary; with several objectives Optuna's samplers take none."""
        if self._adapter is not None:
            self._adapter.report(number, row)
        self._report(number, row)

    def _report(self, number: int, row: BoundaryRow) -> None:
        examples, values = row
        value = None if self._several else float(sum(values) / len(values))
        trial_id = self._unopened.get(number) if self._in_order is None else None
        if trial_id is not None:
            if value is not None:
                self.storage.enter_report_of(trial_id, examples, value)
            return
        trial = self._live(number)
        if value is not None:
            self.storage.enter_report(trial, examples, value)

    def should_prune(self, number: int, examples: int) -> bool:
        """Whether the pruner ends the trial at its last report, which is at so many examples."""
        if self._adapter is not None:
            return self._adapter.should_prune(number, examples)
        trial = self._live(number)
        if self._in_order is None:
            return trial.should_prune()
        return self._judge_in_order(self._in_order, optuna_internals.trial_id(trial), examples)

    def _judge_in_order(self, in_order: InOrder, trial_id: int, examples: int) -> bool:
        """The pruner's verdict at a report, which may be a later one's predecessor."""
        number = in_order.get_trial_number_from_id(trial_id)
        with in_order.judging(number, examples):
            return self._study.pruner.prune(self._study, in_order.own(trial_id))

    def tell(self, outcome: Outcome) -> None:
        """End a trial, unless that was done before a kill."""
        number = outcome.number
        has_notes = outcome.reason or outcome.diverged or outcome.constraints or outcome.replicates
        if not has_notes:
            self._unopened.pop(number, None)
        trial = self._live(number) if number in self._trials or number in self._unopened else None
        self._trials.pop(number, None)
        if trial is not None:
            self._note(trial, outcome)
        state, values = end_of(self._spec, outcome)
        optuna_internals.tell(self._study, trial if trial is not None else outcome.number, values, state)
        if self._adapter is not None:
            self._tell_adapter(outcome)

    def _note(self, trial: optuna.Trial, outcome: Outcome) -> None:
        """What samplers, terminators and readers of the journal want to know beside the values."""
        if outcome.reason is not None:
            trial.set_user_attr("reason", outcome.reason.splitlines()[0])
        if outcome.diverged:
            trial.set_user_attr(DIVERGED, True)
        known = trial.constraints if outcome.constraints else {}
        for name, excess in outcome.constraints.items():
            if name not in known:
                trial.set_constraint(name, excess)
        if outcome.replicates:
            trial.set_user_attr("replicates", outcome.replicates)
            terminators.note_replicates(trial, outcome.replicates[0])

    def _tell_adapter(self, outcome: Outcome) -> None:
        assert self._adapter is not None
        value = outcome.values[adapters.judged_objective(self._spec)] if outcome.values else None
        self._adapter.tell(outcome.number, STATES[outcome.state], value)

    def _ask(self) -> Proposal:
        number = self.storage.count
        if self._in_order is not None and not samplers.keeps_only_trials(self._sampler):
            self._sampler = samplers.make(self._spec, number, **self._source_trials())
            self._study.sampler = self._distinct()
        samplers.reseed(self._sampler, self._spec.seed, number)
        point, retries, attributes = self._point(number), None, dict[str, Any]()
        if point is None and self._asked_for:
            attributes[ENQUEUED] = next(iter(self._asked_for))
            point = self._floats(self._asked_for.pop(attributes[ENQUEUED]))
        elif point is None and self._retries:
            retries = next(iter(self._retries))
            point = dict(self._retries.pop(retries))
        if point is not None:
            self._study.enqueue_trial(point, user_attrs=attributes or None)
        if self._adapter is not None:
            self._adapter.enter(number)
        with self._proposing(number):
            return self._suggest(self._asked(number, retries))

    def _asked(self, number: int, retries: int | None) -> optuna.Trial:
        """A trial that Optuna has begun, with what it tries again or extends."""
        trial = self._study.ask()
        self.storage.count += 1
        if retries is not None:
            trial.set_user_attr(RETRIES, retries)
        if (extends := self._extends(number)) is not None:
            trial.set_user_attr("extends", extends)
        return trial

    def _proposing(self, number: int) -> AbstractContextManager[None]:
        return nullcontext() if self._in_order is None else self._in_order.proposing(number)

    def _extends(self, number: int) -> dict[str, Any] | None:
        """The trial of another run that this one extends."""
        extends = self._spec.extends
        if extends is None or number >= len(extends.trials):
            return None
        return {"run": extends.run, "trial": extends.trials[number]}

    def _suggest(self, trial: optuna.Trial) -> Proposal:
        """Suggest what is not yet suggested: on a trial that is resumed its own values come back."""
        self._trials[trial.number] = trial
        params = space.suggest_all(trial, self._spec, self._order)
        self._points.enter(params)
        stored = trial.storage.get_trial(optuna_internals.trial_id(trial))
        attributes = stored.user_attrs
        return Proposal(
            trial.number, params, stored.system_attrs, attributes.get(RETRIES), attributes.get(ENQUEUED)
        )

    def _point(self, number: int) -> dict[str, Scalar] | None:
        """The point of `enqueue` that this trial is to try; the first trials try them in order."""
        index = number - self._earlier
        if not 0 <= index < len(self._spec.enqueue):
            return None
        return self._floats(self._spec.enqueue[index])

    def _floats(self, point: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """A point whose whole numbers are floats where the space has floats."""
        whole = {name for name, entry in self._spec.space.items() if isinstance(entry, FloatRange)}
        return {
            name: float(value) if name in whole else value  # type: ignore[arg-type]
            for name, value in point.items()
        }

    def _untried(self, points: Mapping[str, Mapping[str, Scalar]]) -> dict[str, Mapping[str, Scalar]]:
        """Those that no trial has: a kill may leave one in the storage of which the log does not know."""
        known = {trial.user_attrs.get(ENQUEUED) for trial in self.storage.trials()} if points else set()
        return {id: point for id, point in points.items() if id not in known}

    @property
    def _is_grid(self) -> bool:
        return isinstance(self._sampler, Grid)

    def _points_tried(self) -> Points:
        """The points of the space, those tried by this study's own trials entered."""
        points = Points(self._spec)
        if points.total is not None:
            for trial in self.storage.trials()[self._earlier :]:
                if was_tried(trial):
                    points.enter(trial.params)
        return points

    def _that_fit(self, retries: Mapping[int, Mapping[str, Scalar]]) -> dict[int, Mapping[str, Scalar]]:
        """Those whose hyperparameters the space has still, as it has them."""
        fits = self._edited.fits
        return {
            number: fits[number].params if number in fits else params
            for number, params in retries.items()
            if number not in fits or fits[number].exact
        }

    def _distinct(self) -> optuna.samplers.BaseSampler:
        sampler, entries = self._sampler, rounded_entries(self._spec.space)
        if isinstance(sampler, optuna.samplers.QMCSampler):
            sampler = Noted(sampler)
        if self.storage.left_out or any(fit.misfit for fit in self._edited.fits.values()):
            sampler = Seeing(sampler, self.storage.left_out)
        if entries and not self._is_grid:
            sampler = Rounded(sampler, entries)
        if self._points.total is None or self._is_grid or self._spec.sampler.repeat:
            return sampler
        return Distinct(sampler, self._points, self._spec.seed)

    def _source_trials(self) -> dict[str, Any]:
        """Of other runs, and of this one before its space was edited last."""
        before = max(self._edited.fits, default=self._earlier - 1) + 1
        earlier = [
            each for each in self.storage.trials()[:before] if each.number not in self.storage.left_out
        ]
        return warm_start.source_trials(self._spec, earlier) if earlier else {}


def _in_order(spec: StudySpec, storage: optuna.storages.BaseStorage, shows_rungs: bool) -> InOrder | None:
    """What the sampler and the pruner see in place of the storage; None where it is the storage itself."""
    lag = lag_of(spec)
    return None if lag is None else InOrder(storage, spec.name, lag, shows_rungs=shows_rungs)
