from datetime import UTC, datetime

from runlog.records import Record
from runlog.study import StudyState, trial_columns


def fold(*records: Record) -> StudyState:
    study = StudyState()
    for record in records:
        study.add(record)
    return study


def asked(number: int, time: float = 0.0, **params: object) -> Record:
    return {
        "event": "asked", "time": time, "trial": number, "seed": 7,
        "params": params, "hyperparameters": {**params, "fixed": 1},
    }  # fmt: skip


def told(number: int, *values: float, state: str = "COMPLETE", time: float = 1.0) -> Record:
    return {
        "event": "told", "time": time, "trial": number, "state": state,
        "values": list(values) or None, "reason": None, "ledger": {"train_s": 2.0},
    }  # fmt: skip


def opened(session: int = 1, *directions: str) -> Record:
    objectives = [{"metric": f"m{index}", "direction": each} for index, each in enumerate(directions)]
    return {
        "event": "opened", "time": 0.0, "format": 1, "session": session, "host": "mac-1", "pid": 1,
        "objectives": objectives, "choices": {}, "trials": 8,
    }  # fmt: skip


def test_the_first_record_of_a_trial_wins() -> None:
    study = fold(asked(3, a=1), asked(3, a=2), told(3, 0.5), told(3, 0.9, state="FAIL"))
    assert study.trials[3].params == {"a": 1}
    assert study.trials[3].values == (0.5,)
    assert study.counts() == {"COMPLETE": 1}


def test_an_opening_ends_what_the_session_before_said_of_its_end() -> None:
    closed: Record = {"event": "closed", "time": 2.0, "reason": "finished"}
    assert fold(opened(), closed).closed == "finished"
    reopened = fold(opened(), closed, opened(2, "minimize"))
    assert (reopened.closed, reopened.sessions) == (None, 2)


def test_best_knows_complete_trials_only() -> None:
    study = fold(
        opened(1, "minimize"), asked(0), asked(1), asked(2), asked(3),
        told(0, 0.5), told(1, 0.1, state="PRUNED"), told(2, 0.2),
    )  # fmt: skip
    assert [row.number for row in study.best()] == [2, 0]
    assert [row.number for row in study.best(["maximize"])] == [0, 2]
    assert fold().best() == []


def test_columns_carry_optunas_names() -> None:
    columns = trial_columns(
        fold(opened(1, "minimize"), asked(1, 60.0, a=1), asked(0, b="x"), told(1, 0.5, time=90.0))
    )
    assert list(columns) == [
        "number", "value", "datetime_start", "datetime_complete", "duration", "params_b", "params_a",
        "state", "reason", "ledger_train_s",
    ]  # fmt: skip
    assert columns["number"] == [0, 1]
    assert columns["value"] == [None, 0.5]
    assert columns["datetime_start"][1] == datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    assert columns["duration"][0] is None
    assert columns["duration"][1].total_seconds() == 30.0
    assert columns["state"] == ["RUNNING", "COMPLETE"]


def test_several_objectives_have_a_column_each() -> None:
    columns = trial_columns(fold(opened(1, "minimize", "maximize"), asked(0), told(0, 0.5, 2.0)))
    assert columns["values_m0"] == [0.5]
    assert columns["values_m1"] == [2.0]
    assert "value" not in columns
