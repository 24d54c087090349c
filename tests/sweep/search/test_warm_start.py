"""Trials of other runs, other spaces and of tables, in this study's space."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pandas as pd
import pytest

import analysis
from sweep.api.keeping.verify import verify
from sweep.api.python.given import StudyKeys, given_study
from sweep.errors import SpecError
from sweep.search import warm_start
from sweep.search.fitted import LEFT_OUT, OWN
from sweep.search.journal_check import read_journal
from sweep.search.study import Study
from sweep.spec.parse import load, parse
from sweep.spec.resolve import resolved, resolved_text
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Length, Outcome, TrialState
from tests.sweep.conftest import STUDY, Folder
from tests.sweep.in_process import Killed, kill_at, run, sweep

LENGTH = Length(100, 10)
TABLE = """\
number,value,params_learning_rate,params_accumulation_steps,params_flag,params_clip,state
0,0.5,0.01,1,True,,COMPLETE
1,0.4,0.02,2,False,1.5,COMPLETE
2,,0.05,2,True,1.5,PRUNED
3,inf,0.09,1,True,1.5,COMPLETE
4,,0.03,1,True,1.5,FAIL
5,0.3,5.0,1,True,1.5,COMPLETE
6,0.2,0.03,7,True,1.5,COMPLETE
7,0.1,0.11,1,,1.5,RUNNING
"""


def study(folder: Path, warm: str, entries: str = "") -> StudySpec:
    """The small study with more entries of its space, that learns from these sources."""
    text = STUDY.replace("fixed:", f"{entries}warm_start: {warm}\nfixed:").replace("random", "tpe")
    return parse(text, str(folder / "study.yaml"))


ENTRIES = "  flag: {choices: [true, false]}\n  clip: {choices: [null, 1.5]}\n"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_with_optunas_columns_is_learned_from(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "old.csv").write_text(TABLE)
    pd.read_csv(tmp_path / "old.csv").to_parquet(tmp_path / "old.parquet")
    spec = study(tmp_path, f"[old{suffix}]", ENTRIES)
    found = warm_start.read(spec)
    assert found.notes == [
        f"warm start from old{suffix}: 4 of 6 earlier trials fit, 2 left out by learning_rate, "
        "accumulation_steps"
    ]
    by_number = {trial.user_attrs["warm_start_number"]: trial for trial in found.trials}
    assert list(by_number) == [0, 1, 2, 3, 5, 6]
    assert by_number[0].params == {"learning_rate": 0.01, "accumulation_steps": 1, "flag": True, "clip": None}
    assert by_number[1].params == {"learning_rate": 0.02, "accumulation_steps": 2, "flag": False, "clip": 1.5}
    assert (by_number[2].state.name, by_number[3].values) == ("PRUNED", [math.inf])
    assert by_number[3].user_attrs["diverged"] is True
    assert by_number[5].user_attrs[LEFT_OUT] == "learning_rate"
    assert by_number[5].user_attrs[OWN]["learning_rate"] == 5.0
    study_of_it = Study(spec, tmp_path / "journal", LENGTH)
    assert [proposal.number for proposal in study_of_it.ask(2)] == [6, 7]
    study_of_it.storage.close()


def test_what_a_source_varied_and_this_space_lacks_is_said(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text(TABLE)
    (note,) = warm_start.read(study(tmp_path, "old.csv")).notes
    assert note.endswith("2 left out by learning_rate, accumulation_steps; not in this space: flag, clip")


def test_what_optuna_writes_is_read(tmp_path: Path) -> None:
    theirs = optuna.create_study()
    theirs.optimize(
        lambda trial: (
            trial.suggest_float("learning_rate", 1e-3, 0.1)
            * trial.suggest_categorical("accumulation_steps", [1, 2])
        ),
        n_trials=5,
    )
    theirs.trials_dataframe().to_csv(tmp_path / "theirs.csv")
    found = warm_start.read(study(tmp_path, "theirs.csv"))
    assert [trial.value for trial in found.trials] == [trial.value for trial in theirs.trials]
    assert [trial.params for trial in found.trials] == [trial.params for trial in theirs.trials]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("away.csv", None, "is no run directory, and no table (.csv, .parquet)"),
        ("old.txt", "value\n1", "is no run directory, and no table (.csv, .parquet)"),
        (
            "old.csv",
            "params_learning_rate,loss\n0.1,1",
            "the table has no column value. Write it as Optuna's",
        ),
        (
            "old.csv",
            "value\n1\n2",
            "none of its 2 trials fits this space, by accumulation_steps. Write `earlier`",
        ),
        ("old.csv", "params_a,value\n1,low\n", "row 1 of the table cannot be read: could not convert string"),
        ("old.csv", "number,params_a,value\n0,1,2\n,1,2\n", "row 2 of the table cannot be read: "),
        ("old.csv", "", "cannot be read: No columns to parse from file"),
        ("old.parquet", "no parquet", "cannot be read: "),
    ],
)
def test_what_cannot_be_learned_from_is_one_line_at_its_place(
    tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    (tmp_path / "fine.csv").write_text(TABLE)
    if content is not None:
        (tmp_path / name).write_text(content)
    (problem,) = warm_start.problems(study(tmp_path, f"[fine.csv, {name}]", ENTRIES))
    assert problem.key == "warm_start[1]"
    assert said in str(problem)


def test_one_path_and_several_are_written_as_they_were_given(tmp_path: Path) -> None:
    assert resolved(study(tmp_path, "a"))["warm_start"] == "a"
    assert resolved(study(tmp_path, "[a, b]"))["warm_start"] == ["a", "b"]
    for warm in ("a", "[a, b]"):
        spec = study(tmp_path, warm)
        assert parse(resolved_text(spec), "again.yaml").warm_start == spec.warm_start
    keys: StudyKeys = {
        "name": "n",
        "objective": "loss",
        "direction": "minimize",
        "space": {"x": {"low": 0.0, "high": 1.0}},
        "budget": 1,
        "warm_start": [tmp_path / "a", "b"],
    }
    given = given_study(None, "m:train", keys, runs=tmp_path)
    assert given.spec.warm_start == (str(tmp_path / "a"), str(Path("b").resolve()))


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_runs_of_other_spaces_and_their_own_edits_are_mapped_by_name(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder)
    folder.write(("choices: [1, 2]", "choices: [1, 4]"), ("trials: 4", "trials: 6"))
    run(folder)
    steps = analysis.load(folder.run_dir).trials.params_accumulation_steps.tolist()
    (folder.path / "line.csv").write_text(sweep(folder, "export", "runs/line").stdout)
    warm = (
        ("name: line", "name: warm"),
        ("choices: [1, 2]}", "choices: [1, 2, 4]}\n  weight_decay: {low: 0.0, high: 0.1}"),
        ("{name: random}", "{name: tpe}\nearlier: {weight_decay: 0.0}\nwarm_start: [runs/line, line.csv]"),
    )
    folder.write(*warm)
    checked = sweep(folder, "check", "study.yaml").stdout
    capsys.readouterr()
    with monkeypatch.context() as patch:
        kill_at(patch, Study, "tell", 2, after=False)
        with pytest.raises(Killed):
            run(folder)
    assert run(folder).counts["COMPLETE"] == 4
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warm start")]
    assert said == [
        f"warm start from {name}: 6 of 6 earlier trials fit, 6 with a value filled in for weight_decay"
        for name in ("runs/line", "line.csv")
    ]
    assert checked.splitlines()[-2:] == [f"note: {line}" for line in said]
    journal = folder.runs / "warm" / "optuna.journal"
    theirs = trials_in(journal)
    assert [each.params.get("accumulation_steps") for each in theirs[:12]] == steps * 2
    trials = analysis.load(folder.runs / "warm").trials
    assert [each.value for each in theirs[12:]] == trials.value.tolist()
    assert trials.number.tolist() == [12, 13, 14, 15]
    edit = ("choices: [1, 2]}", "choices: [2, 4, 8]}\n  weight_decay: {low: 0.0, high: 0.1}")
    folder.write(warm[0], edit, warm[2], ("trials: 4", "trials: 6"))
    folder.run_dir.rename(folder.path / "away")  # what was learned from it is in the journal
    assert run(folder).counts["COMPLETE"] == 6
    theirs = trials_in(journal)
    own = [*steps * 2, *trials.params_accumulation_steps]
    assert ["left_out" in each.user_attrs for each in theirs[:16]] == [each == 1 for each in own]
    assert [each.params.get("accumulation_steps", 1) for each in theirs[:16]] == own
    assert all(each.params["accumulation_steps"] in (2, 4, 8) for each in theirs[16:])
    assert verify(folder.runs / "warm").sound


def trials_in(journal: Path) -> list[optuna.trial.FrozenTrial]:
    """What Optuna reads there now: a backend remembers where the lines of a replaced file began."""
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    return optuna.load_study(study_name="warm", storage=optuna.storages.JournalStorage(backend)).trials


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_what_a_source_fixed_before_it_varied_it_is_known_trial_by_trial(folder: Folder) -> None:
    folder.write(("trials: 4", "trials: 2"))
    run(folder)
    folder.write(
        ("fixed: {optimizer: sgd, slow: 0.0}", "  slow: {low: 0.0, high: 0.001}\nfixed: {optimizer: sgd}"),
        ("trials: 4", "trials: 3"),
    )
    run(folder)
    warm = ("name: line", "name: warm")
    folder.write(warm, ("slow: 0.0}", "slow: 0.0}\nwarm_start: runs/line"))
    found = warm_start.read(load(folder.study)).trials
    assert [LEFT_OUT in each.user_attrs for each in found] == [False, False, True]
    folder.write(warm, ("slow: 0.0}", "slow: 0.0005}\nwarm_start: runs/line"))
    with pytest.raises(SpecError, match="none of its 3 trials fits this space, by slow"):
        warm_start.read(load(folder.study))


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_a_journal_that_was_lost_is_built_again_with_the_trials_that_there_were(folder: Folder) -> None:
    run(folder)
    warm = (("name: line", "name: warm"), ("{name: random}", "{name: random}\nwarm_start: runs/line"))
    folder.write(*warm)
    run(folder)
    folder.write(("trials: 4", "trials: 6"))
    run(folder)  # the source has more trials now
    run_dir = folder.runs / "warm"
    folder.run_dir.rename(folder.path / "away")  # a study that has begun needs its sources no more
    folder.write(*warm, ("trials: 4", "trials: 5"))
    assert run(folder).counts["COMPLETE"] == 5
    (folder.path / "away").rename(folder.run_dir)
    (run_dir / "optuna.journal").unlink()
    folder.write(*warm, ("trials: 4", "trials: 6"))
    assert run(folder).counts["COMPLETE"] == 6
    assert sorted(analysis.load(run_dir).trials.number) == [4, 5, 6, 7, 8, 9]


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_what_one_of_several_sources_gained_since_takes_no_place_of_anothers(folder: Folder) -> None:
    folder.write(("trials: 4", "trials: 2"), ("epochs: 3}", "epochs: 3}, replicates: 2"))
    run(folder)
    (folder.path / "old.csv").write_text("value,params_learning_rate,params_accumulation_steps\n0.5,0.01,1\n")
    warm = (
        ("name: line", "name: warm"),
        ("{name: random}", "{name: random}\nwarm_start: [runs/line, old.csv]"),
    )
    folder.write(*warm, ("trials: 4", "trials: 1"))
    run(folder)
    journal = folder.runs / "warm" / "optuna.journal"
    before = read_journal(journal).trials[:3]
    assert [len(each.intermediate_values) for each in before] == [3, 3, 0]
    folder.write(("trials: 4", "trials: 3"), ("epochs: 3}", "epochs: 3}, replicates: 2"))
    run(folder)
    journal.unlink()
    folder.write(*warm, ("trials: 4", "trials: 2"))
    run(folder)
    assert [each.values for each in read_journal(journal).trials[:3]] == [each.values for each in before]
    with (folder.path / "old.csv").open("a") as file:
        file.write("0.4,0.01,1\n")
    journal.unlink()
    folder.write(*warm)
    with pytest.raises(SpecError, match="gave 3 trials when the study began, and has 4 now"):
        run(folder)


def test_a_grid_tries_the_points_that_it_learned_of(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("params_a,value\n1,0.5\n3,0.1\n")
    text = STUDY.replace(
        "  learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}\n", "  a: {low: 1, high: 3}\n"
    )
    text = text.replace("  accumulation_steps: {choices: [1, 2]}\n", "").replace("random", "grid")
    spec = parse(text + "warm_start: old.csv\n", str(tmp_path / "study.yaml"))
    own = Study(spec, None, LENGTH)
    points = []
    while proposals := own.ask(1):
        points.append(proposals[0].params["a"])
        own.tell(Outcome(proposals[0].number, TrialState.COMPLETE, (1.0,)))
    assert sorted(map(str, points)) == ["1", "2", "3"]
    assert own.exhausted_by == "all 3 points of the space were tried"


def test_a_study_file_that_was_loaded_names_its_sources(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY + "warm_start: [a, b]\n")
    assert load(tmp_path / "study.yaml").warm_start == ("a", "b")
