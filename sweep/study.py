"""Optuna: ask, record, judge, tell, and take up again what a killed run left.

The storage is Optuna's journal, or another one that the study file names; either can be read by
optuna-dashboard and `optuna.load_study` while the study runs.
Only this module, `space` and `journal` import Optuna.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.study._tell import _tell_with_warning

from sweep import space
from sweep.errors import JournalError, SpecError
from sweep.journal import Journal
from sweep.schema import Pruner, Sampler, StudySpec
from sweep.trial import Length, Outcome, Scalar, TrialState

STATES = {
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.FAIL: optuna.trial.TrialState.FAIL,
}


@dataclass(frozen=True)
class Proposal:
    """What Optuna suggested for one trial; conditional entries that do not apply are absent.

    `notes` is what the sampler wrote down for itself, to be given back should the journal lose it.
    """

    number: int
    suggested: Mapping[str, Scalar]
    notes: Mapping[str, Any]


class _Study(optuna.Study):
    """A study that is asked and told: a sampler's `stop` means that it has nothing further to propose."""

    exhausted = False

    def stop(self) -> None:
        self.exhausted = True


class Study:
    """One sampler object and one pruner object for a study's whole session."""

    def __init__(self, spec: StudySpec, journal: Path, length: Length) -> None:
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._spec = spec
        self._multi = len(spec.objective) > 1
        self._journal = Journal(journal) if spec.storage is None else None
        storage = self._journal if self._journal is not None else _storage(spec)
        directions = [objective.direction for objective in spec.objective]
        optuna.create_study(study_name=spec.name, storage=storage, directions=directions, load_if_exists=True)
        self._study = _Study(
            spec.name,
            storage,
            sampler=_sampler(spec.sampler, spec),
            pruner=_pruner(spec.pruner, length),
        )
        self._trials: dict[int, optuna.Trial] = {}
        self._known = len(self._study.get_trials(deepcopy=False))

    @property
    def exhausted(self) -> bool:
        return self._study.exhausted

    def ask(self, count: int) -> list[Proposal]:
        """Up to `count` proposals; fewer once the sampler is exhausted."""
        proposals = []
        for _ in range(count):
            if self._study.exhausted:
                break
            proposals.append(self._ask())
        return proposals

    def running(self) -> list[Proposal]:
        """Trials asked and never told, oldest first; one without all hyperparameters is asked again."""
        states = (optuna.trial.TrialState.RUNNING,)
        frozen = self._study.get_trials(deepcopy=False, states=states)
        return [self._suggest(optuna.Trial(self._study, trial._trial_id)) for trial in frozen]

    def known(self) -> int:
        """How many trials Optuna knows: their numbers are below this."""
        return self._known

    def restore(
        self,
        number: int,
        suggested: Mapping[str, Scalar],
        notes: Mapping[str, Any],
        values: Sequence[tuple[int, float]],
        outcome: Outcome | None,
    ) -> None:
        """Enter again a trial that the log holds and the journal has lost; numbers go up one by one.

        `notes` is what the sampler wrote down, `values` are (examples, objective) pairs. Raises ValueError
        where `number` is not the next one.
        """
        if number != self.known():
            raise ValueError(f"trial {self.known()} must come first, got {number}")
        distributions = space.distributions(self._spec)
        trial = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING if outcome is None else STATES[outcome.state],
            values=list(outcome.values) if outcome is not None and outcome.values else None,
            params=dict(suggested),
            distributions={name: distributions[name] for name in suggested},
            system_attrs=dict(notes),
            intermediate_values={} if self._multi else dict(values),
        )
        self._study.add_trial(trial)
        self._known += 1

    def told(self) -> dict[int, Outcome]:
        """What Optuna knows to be finished, by number."""
        ends = {theirs: ours for ours, theirs in STATES.items()}
        frozen = self._study.get_trials(deepcopy=False, states=tuple(ends))
        return {
            trial.number: Outcome(trial.number, ends[trial.state], tuple(trial.values or ()) or None)
            for trial in frozen
        }

    def check_against(self, params: Mapping[int, Mapping[str, Scalar]], told: Mapping[int, Outcome]) -> None:
        """Hold the journal's trials against the log's, by number, and complete what a kill cut short.

        Raises JournalError where they are not the same.
        """
        for trial in self._study.get_trials(deepcopy=False):
            expected = params.get(trial.number)
            if expected is None:
                continue
            outcome = told.get(trial.number)
            missing = expected.keys() - trial.params.keys()
            values = outcome.values if outcome is not None and outcome.state is TrialState.COMPLETE else None
            if (
                any(expected.get(name) != value for name, value in trial.params.items())
                or (missing and trial.state.is_finished())
                or (values and trial.state == STATES[TrialState.COMPLETE] and tuple(trial.values) != values)
            ):
                raise JournalError(
                    f"trial {trial.number} must be as the log has it, {dict(expected)} with values {values}; "
                    f"found {trial.params} with {trial.values}"
                )
            self._complete(trial, {name: expected[name] for name in missing})

    def _complete(self, trial: optuna.trial.FrozenTrial, missing: Mapping[str, Scalar]) -> None:
        distributions = space.distributions(self._spec) if missing else {}
        for name, distribution in distributions.items():
            if name in missing:
                value = distribution.to_internal_repr(missing[name])
                self._study._storage.set_trial_param(trial._trial_id, name, value, distribution)

    def report(self, number: int, examples: int, value: float) -> None:
        """Enter an objective's value at a boundary; with several objectives Optuna's samplers take none."""
        trial = self._trials[number]
        if not self._multi and examples not in trial._cached_frozen_trial.intermediate_values:
            trial.report(value, examples)

    def should_prune(self, number: int) -> bool:
        return not self._multi and self._trials[number].should_prune()

    def tell(self, outcome: Outcome) -> None:
        """End a trial, unless that was done before a kill."""
        trial = self._trials.pop(outcome.number, None)
        values = list(outcome.values) if outcome.state is TrialState.COMPLETE and outcome.values else None
        target = trial if trial is not None else outcome.number
        if outcome.reason is not None and trial is not None:
            trial.set_user_attr("reason", outcome.reason.splitlines()[0])
        # What `Study.tell` does, less its copy of the whole trial, which takes longer than the rest.
        _tell_with_warning(self._study, target, values, STATES[outcome.state], skip_if_finished=True)

    @property
    def dirty(self) -> bool:
        """Whether a commit would have anything to do."""
        return self._journal is not None and self._journal.dirty

    @property
    def buffered(self) -> bool:
        """Whether Optuna's storage waits for `commit`; others write whatever they are told at once."""
        return self._journal is not None

    def commit(self) -> None:
        """Wait until Optuna's journal is on disk."""
        if self._journal is not None:
            self._journal.commit()

    def close(self) -> None:
        """Let go of the journal."""
        if self._journal is not None:
            self._journal.close()

    def _ask(self) -> Proposal:
        _reseed(self._study.sampler, self._spec.seed, self._known)
        trial = self._study.ask()
        self._known += 1
        return self._suggest(trial)

    def _suggest(self, trial: optuna.Trial) -> Proposal:
        """Suggest what is not yet suggested: on a trial taken up again its own values come back."""
        self._trials[trial.number] = trial
        suggested = space.suggest_all(trial, self._spec)
        notes = trial.storage.get_trial(trial._trial_id).system_attrs
        return Proposal(trial.number, suggested, notes)


def _storage(spec: StudySpec) -> optuna.storages.BaseStorage:
    """The storage that the study file names. Raises SpecError where it cannot be opened."""
    from sqlalchemy.exc import SQLAlchemyError

    assert spec.storage is not None
    try:
        return optuna.storages.get_storage(spec.storage)
    except (ImportError, ValueError, OSError, optuna.exceptions.OptunaError, SQLAlchemyError) as error:
        rule = f"must be a storage that Optuna can open: {str(error).splitlines()[0]}"
        raise SpecError([spec.document.problem(("storage",), rule, spec.storage)]) from error


def _sampler(sampler: Sampler, spec: StudySpec) -> optuna.samplers.BaseSampler:
    """Optuna's sampler of that name under the study's seed."""
    seed = spec.seed % 2**32
    match sampler.name:
        case "tpe":
            # Trials in flight count as poor ones, so that concurrent proposals keep apart.
            return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)
        case "qmc":
            return optuna.samplers.QMCSampler(seed=seed)
        case "grid":
            return optuna.samplers.GridSampler(space.grid(spec), seed=seed)
        case "cmaes":
            return optuna.samplers.CmaEsSampler(seed=seed)
        case "gp":
            return optuna.samplers.GPSampler(seed=seed)
        case "nsgaii":
            return optuna.samplers.NSGAIISampler(seed=seed)
        case "nsgaiii":
            return optuna.samplers.NSGAIIISampler(seed=seed)


def _reseed(sampler: optuna.samplers.BaseSampler, seed: int, number: int) -> None:
    """Set the random state from (seed, number), so that proposals follow from the told history alone.

    Grid, QMC and CMA-ES keep one seed: their sequences are a state of the whole study.
    """
    words = np.random.SeedSequence([seed, number]).generate_state(4)
    for rng in _random_states(sampler):
        rng.seed(words)


def _random_states(sampler: object) -> Iterator[np.random.RandomState]:
    for name in ("_rng", "_random_sampler", "_independent_sampler"):
        part = getattr(sampler, name, None)
        if isinstance(part, optuna.samplers.BaseSampler):
            yield from _random_states(part)
        elif part is not None and hasattr(part, "rng"):
            yield part.rng


def _pruner(pruner: Pruner, length: Length) -> optuna.pruners.BasePruner:
    """Optuna's pruner of that name with its resources in examples: least one report, most the length."""
    least, most = length.report_every, length.examples
    match pruner.name:
        case "none":
            return optuna.pruners.NopPruner()
        case "median":
            return optuna.pruners.MedianPruner(n_warmup_steps=least)
        case "successive_halving":
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=least)
        case "hyperband":
            return optuna.pruners.HyperbandPruner(min_resource=least, max_resource=most)
