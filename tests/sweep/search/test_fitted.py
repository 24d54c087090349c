"""A study whose space was edited: what Optuna's storage holds of earlier trials, and what samplers see."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import optuna
import pytest

from runlog.study import TrialRow
from sweep.errors import StaleJournalError
from sweep.search import samplers
from sweep.search.fitted import LEFT_OUT, MOVED, OWN
from sweep.search.storage import StudyStorage
from sweep.search.study import Study
from sweep.spec.edited.edits import edited, fitting, values_of
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Length, Outcome, Scalar, TrialState
from tests.sweep.search.specs import with_sampler
from tests.sweep.spec.minimal import spec_of

LENGTH = Length(100, 10)
BEFORE = spec_of("rate: {low: 0.0, high: 1.0}", "hidden: {choices: [1, 2, 3]}")
AFTER = spec_of("rate: {low: 0.5, high: 2.0}", "hidden: {choices: [2, 3, 4]}", "drop: {low: 0.0, high: 0.5}")
AFTER = AFTER.model_copy(update={"earlier": {"drop": 0.0}})


class Edit:
    """A study that ran in one space, and what continues it in another."""

    def __init__(self, folder: Path, name: str, before: StudySpec = BEFORE, after: StudySpec = AFTER) -> None:
        self.path = folder / "journal"
        self.before, self.after = with_sampler(before, name), with_sampler(after, name)
        self.rows: dict[int, TrialRow] = {}

    def run(self, study: Study, count: int) -> list[dict[str, Scalar]]:
        """Ask and tell so many trials; the least rate is the best."""
        found = []
        for proposal in (each for _ in range(count) for each in study.ask(1)):
            params = dict(proposal.params)
            value = float(str(params.get("rate", 0.0)))
            self.rows[proposal.number] = TrialRow(
                proposal.number, params=params, hyperparameters=params, notes=dict(proposal.notes)
            )
            study.tell(Outcome(proposal.number, TrialState.COMPLETE, (-value,)))
            found.append(params)
        study.storage.commit()
        return found

    def begun(self, count: int) -> list[dict[str, Scalar]]:
        study = Study(self.before, self.path, LENGTH)
        found = self.run(study, count)
        study.storage.close()
        return found

    def lost(self) -> Study:
        """The study continued without its journal, from what the log has."""
        edits = [{"before": values_of(self.before), "after": values_of(self.after)}]
        study = Study(self.after, None, LENGTH, edited=edited(self.after, edits, self.rows))
        for number, row in self.rows.items():
            ended = Outcome(number, TrialState.COMPLETE, (-float(str(row.params["rate"])),))
            study.restore(number, row.params, row.notes, (), ended)
        return study

    def continued(self) -> Study:
        edits = [{"before": values_of(self.before), "after": values_of(self.after)}]
        found = edited(self.after, edits, self.rows)
        with pytest.raises(StaleJournalError):
            Study(self.after, self.path, LENGTH, edited=found)
        fresh = self.path.with_name("fresh")
        storage = StudyStorage(self.after, fresh, found)
        storage.adopt(self.path, fitting(self.after, edits))
        storage.commit()
        storage.close()
        return Study(self.after, fresh, LENGTH, edited=found)


@pytest.mark.parametrize("lost", [False, True])
def test_a_genetic_sampler_breeds_from_the_trials_that_fit_whichever_generation_is_left_out(
    tmp_path: Path, lost: bool
) -> None:
    edit = Edit(tmp_path, "nsgaii", after=spec_of("rate: {low: 0.0, high: 1.0}", "hidden: {choices: [2, 3]}"))
    points = tuple({"hidden": hidden} for hidden in (1, 1, 2))
    edit.before = with_sampler(edit.before, "nsgaii", population_size=2).model_copy(
        update={"enqueue": points}
    )
    edit.after = with_sampler(edit.after, "nsgaii", population_size=2)
    edit.begun(3)  # the first generation, and one of the second
    study = edit.lost() if lost else edit.continued()
    assert study.storage.left_out == {0, 1}
    assert len(edit.run(study, 4)) == 4
    generations = [trial.system_attrs["NSGAIISampler:generation"] for trial in study.storage.trials()[2:]]
    assert generations == [0, 0, 1, 1, 2]
    study.storage.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "cmaes", "gp", "nsgaii"])
def test_every_sampler_continues_in_the_edited_space(tmp_path: Path, name: str) -> None:
    for package in samplers.REGISTRY.entries[name].packages:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'sweep-mlx[samplers]'")
    edit = Edit(tmp_path, name)
    begun = edit.begun(12)
    study = edit.continued()
    theirs = study.storage.trials()
    fit = [each["hidden"] != 1 and float(str(each["rate"])) >= 0.35 for each in begun]
    assert 0 < sum(fit) < 12
    assert [LEFT_OUT not in each.user_attrs for each in theirs] == fit
    assert [each.values for each in theirs] == [[-float(str(each["rate"]))] for each in begun]
    for params, trial in zip(begun, theirs, strict=True):
        assert trial.user_attrs[OWN] == params
        if LEFT_OUT not in trial.user_attrs:
            assert trial.params["drop"] == 0.0
            assert (MOVED in trial.user_attrs) == (float(str(params["rate"])) < 0.5)
    for params in edit.run(study, 6):
        assert 0.5 <= float(str(params["rate"])) <= 2.0
        assert params["hidden"] in (2, 3, 4)
    study.storage.close()
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "fresh"))
    read = optuna.load_study(study_name="digits", storage=optuna.storages.JournalStorage(backend))
    assert [set(each.params) for each in read.trials[12:]] == [{"rate", "hidden", "drop"}] * 6
    assert len(read.trials) == 18


def test_a_trial_that_does_not_fit_is_there_for_people_and_failed_for_samplers(tmp_path: Path) -> None:
    seen: list[list[optuna.trial.TrialState]] = []

    class Looking(optuna.samplers.RandomSampler):
        def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            seen.append([each.state for each in study.get_trials(deepcopy=False)])
            states = (optuna.trial.TrialState.COMPLETE,)
            assert all(each.params["hidden"] != 1 for each in study.get_trials(states=states))
            assert [each.number for each in study.trials] == list(range(len(study.trials)))

    edit = Edit(tmp_path, "random", after=spec_of("rate: {low: 0.0, high: 1.0}", "hidden: {choices: [2, 3]}"))
    begun = edit.begun(6)
    study = edit.continued()
    sampler = study._distinct()
    sampler._sampler = Looking()  # type: ignore[attr-defined]
    study._study.sampler = sampler
    study.ask(1)
    fail, complete = optuna.trial.TrialState.FAIL, optuna.trial.TrialState.COMPLETE
    assert seen[0][:6] == [fail if each["hidden"] == 1 else complete for each in begun]
    assert {each.state for each in study.storage.trials()[:6]} == {complete}
    study.storage.close()


@pytest.mark.parametrize("name", ["grid", "tpe", "random"])
def test_only_points_that_are_new_are_tried_of_a_finite_space(tmp_path: Path, name: str) -> None:
    before = spec_of("a: {choices: [1, 2]}", "b: {choices: [x, y]}")
    after = spec_of("a: {choices: [2, 3]}", "b: {choices: [x, y, z]}")
    edit = Edit(tmp_path, name, before, after)
    begun = edit.begun(4)
    assert len({str(each) for each in begun}) == 4
    study = edit.continued()
    points = edit.run(study, 20)
    assert sorted((each["a"], each["b"]) for each in points) == [(2, "z"), (3, "x"), (3, "y"), (3, "z")]
    assert study.exhausted_by == "all 6 points of the space were tried"
    study.storage.close()


def test_a_failed_trial_is_asked_again_where_it_fits(tmp_path: Path) -> None:
    edit = Edit(tmp_path, "random", after=spec_of("rate: {low: 0.0, high: 1.0}", "hidden: {choices: [2, 3]}"))
    begun = edit.begun(6)
    edits = [{"before": values_of(edit.before), "after": values_of(edit.after)}]
    found = edited(edit.after, edits, edit.rows)
    study = Study(edit.after, None, LENGTH, edited=found, retries=dict(enumerate(begun)))
    wanted = [each for each in begun if each["hidden"] != 1]
    assert 0 < len(wanted) < 6
    assert [dict(each.params) for each in study.ask(len(wanted))] == wanted
