"""Loggers against the real packages: what they hold agrees with the run directory, each thing once."""

from __future__ import annotations

import math
import sys
import threading
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

import analysis
from runlog.study import TrialRow
from sweep.api.run import run_study
from sweep.driver.build import check_choices
from sweep.driver.loggers import choosing, ours
from sweep.driver.loggers.base import LoggedRun
from sweep.driver.loggers.following import Following
from sweep.driver.monitor.progress import Quiet
from sweep.errors import SpecError
from sweep.spec.parse import load, parse
from sweep.spec.resolve import resolved_text
from sweep.vocabulary.trial import Outcome, Report, TrialState
from tests.run_dirs import START, ask, begin, open_run, outcome, plan, report
from tests.sweep.conftest import STUDY, Folder
from tests.sweep.driver.loggers.fed import follow

Scalars = dict[tuple[int, str], list[tuple[int, float]]]

pytestmark = [
    pytest.mark.slow,
    # What MLflow does in importing and opening its database is not ours to mend.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:mlflow"),
]


def tensorboard_holds(run: Path) -> Scalars:
    """Scalars by trial and tag, as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: Scalars = {}
    for folder in sorted((run / "tensorboard").iterdir()):
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        events.Reload()
        assert "_hparams_/session_start_info" in events.summary_metadata
        for tag in events.Tags()["scalars"]:
            points = [(each.step, each.value) for each in events.Scalars(tag)]
            found[int(folder.name.removeprefix("trial-")), tag] = points
    return found


def mlflow_runs(run: Path) -> dict[int, Any]:
    client = mlflow_client(run)
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments)
    assert len({each.data.tags["sweep.trial"] for each in runs}) == len(runs)
    return {int(each.data.tags["sweep.trial"]): each for each in runs}


def mlflow_holds(run: Path) -> Scalars:
    client = mlflow_client(run)
    return {
        (number, key): [
            (point.step, point.value) for point in client.get_metric_history(each.info.run_id, key)
        ]
        for number, each in mlflow_runs(run).items()
        for key in each.data.metrics
    }


def mlflow_client(run: Path) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(f"sqlite:///{(run / 'mlflow.db').resolve()}")


HOLDS = {"tensorboard": tensorboard_holds, "mlflow": mlflow_holds}


def expected(run: Path) -> Scalars:
    found: Scalars = {}
    rows: list[dict[str, Any]] = analysis.load(run).metrics.to_dict("records")  # type: ignore[assignment]
    for row in rows:
        for metric in ("loss", "accuracy"):
            found.setdefault((row["trial"], metric), []).append((row["examples"], row[metric]))
    return {key: sorted(points) for key, points in found.items()}


def agree(held: Scalars, run: Path) -> None:
    reported = {key: points for key, points in held.items() if not key[1].startswith("value")}
    for key, points in expected(run).items():
        assert [step for step, _ in reported[key]] == [step for step, _ in points]
        assert [value for _, value in reported[key]] == pytest.approx(
            [value for _, value in points], nan_ok=True
        )
    assert reported.keys() == expected(run).keys()


@pytest.mark.parametrize("name", HOLDS)
def test_a_session_after_a_kill_writes_what_is_missing_and_nothing_twice(name: str, tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0, 1, 2)
        for examples in (100, 200, 300):
            run.record_reports([report(0, examples)])
        run.record_outcome(outcome(0))
        run.record_reports([report(1, 100), report(2, 100)])
        assert follow(run, name) == []
    agree(HOLDS[name](run.path), run.path)
    with open_run(tmp_path) as run:
        begin(run)
        run.record_reports([report(1, 100), report(1, 200), report(1, 300), report(2, 200)])
        run.record_outcome(outcome(1))
        run.record_outcome(Outcome(2, TrialState.FAIL, None, "loss is nan", {}))
        ask(run, 3)
        run.record_reports([report(3, 100, metrics={"loss": math.nan, "accuracy": 0.5})])
        run.record_outcome(outcome(3, TrialState.PRUNED))
        assert follow(run, name) == []
        assert follow(run, name) == []
    held = HOLDS[name](run.path)
    agree(held, run.path)
    values = {number: points for (number, tag), points in held.items() if tag == "value"}
    assert {number: len(points) for number, points in values.items()} == {0: 1, 1: 1, 3: 1}
    assert values[0][0][1] == pytest.approx(outcome(0).values[0])  # type: ignore[index]


def test_mlflow_knows_hyperparameters_and_how_each_trial_ended(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0, 1, 2)
        run.record_reports([report(0, 100)])
        run.record_outcome(outcome(0, TrialState.PRUNED))
        run.record_outcome(outcome(1, TrialState.FAIL))
        assert follow(run, "mlflow") == []
    runs = mlflow_runs(run.path)
    assert runs[0].data.params == {name: str(value) for name, value in plan(0).hyperparameters.items()}
    assert [runs[number].info.status for number in range(3)] == ["KILLED", "FAILED", "RUNNING"]
    assert [runs[number].data.tags.get("sweep.state") for number in range(3)] == ["PRUNED", "FAIL", None]
    assert runs[1].data.tags["sweep.reason"] == "loss is nan"
    assert runs[0].info.start_time >= START * 1000


def test_mlflow_gets_metrics_whose_names_it_refuses_under_others(tmp_path: Path) -> None:
    """Fault 16: a metric `acc@5` ended the logger for all trials."""
    names = ("acc@5", "top 1%", "/a", "a/../b")
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        run.record_reports([report(0, 100, metrics={"accuracy": 0.5, **dict.fromkeys(names, 0.25)})])
        run.record_outcome(outcome(0))
        said = follow(run, "mlflow")
    assert said[0] == "logger mlflow: acc@5 is acc_at_5 there"
    assert len(said) == len(names)
    metrics = mlflow_runs(run.path)[0].data.metrics
    assert metrics.keys() == {"accuracy", "acc_at_5", "top 1_", "_a", "a____b", "value"}
    assert metrics["acc_at_5"] == 0.25


def test_tensorboard_knows_how_each_trial_ended(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0, 1)
        run.record_outcome(outcome(0))
        run.record_outcome(outcome(1, TrialState.FAIL))
        assert follow(run, "tensorboard") == []
    states = []
    for folder in sorted((run.path / "tensorboard").iterdir()):
        events = EventAccumulator(str(folder))
        events.Reload()
        [text] = events.Tensors("state/text_summary")
        states.append(text.tensor_proto.string_val[0].decode())
    assert states == ["COMPLETE", "FAIL: loss is nan"]


def test_replicates_and_several_objectives_have_names_of_their_own() -> None:
    run = LoggedRun(Path("."), "study", ("loss", "accuracy"), replicates=2)
    assert run.metric("loss", 1) == "loss/replicate-1"
    assert run.values(TrialRow(0, values=(1.0, 2.0))) == {"values_loss": 1.0, "values_accuracy": 2.0}
    assert run.values(TrialRow(0)) == {}


class Breaking:
    """A logger of one's own that cannot write."""

    def __init__(self, run: LoggedRun, after: int = 0) -> None:
        self._left = after

    def whole(self) -> Collection[int]:
        return ()

    def asked(self, row: TrialRow) -> None:
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("the disk of the logger is full\nand more")

    def reported(self, report: Report) -> None: ...

    def ended(self, row: TrialRow) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


def test_a_logger_that_fails_is_said_once_and_ends_no_study(
    folder: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    own = f"{__name__}:Breaking"
    folder.study.write_text(folder.study.read_text() + f"loggers: [{{name: {own}, after: 1}}, tensorboard]\n")
    summary = run_study(load(folder.study), runs=folder.runs, progress=Quiet())
    assert summary.counts["COMPLETE"] == 4
    said = capsys.readouterr().err
    assert said.count(own) == 1
    assert f"logger {own} failed and is off for this session: the disk of the logger is full (the" in said
    assert len({number for number, _ in tensorboard_holds(summary.run_dir)}) == 4
    assert "name: tensorboard" in resolved_text(load(folder.study))


def test_a_logger_added_to_a_study_that_is_finished_gets_all_of_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    run_study(load(folder.study), runs=folder.runs, progress=Quiet())
    folder.study.write_text(folder.study.read_text() + "loggers: [tensorboard]\n")
    summary = run_study(load(folder.study), runs=folder.runs, progress=Quiet())
    assert summary.reason == "finished before"
    steps = [step for step, _ in tensorboard_holds(summary.run_dir)[0, "validation_loss"]]
    assert steps == [64, 128, 192]


@pytest.mark.parametrize(
    ("logger", "package"),
    [("mlflow", "mlflow.entities"), ("tensorboard", "tensorboardX"), ("comet", "comet_ml")],
)
def test_a_missing_package_is_an_error_that_names_the_extra(
    logger: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"{ours.__name__}.{logger}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)  # importing it is an ImportError
    with pytest.raises(SpecError) as caught:
        check_choices(parse(STUDY + f"loggers: [{logger}]\n", "study.yaml"))
    assert f"{logger} needs {package}, not installed here" in str(caught.value)
    assert f"pip install 'sweep-mlx[{logger}]'" in str(caught.value)
    assert "study.yaml:14" in str(caught.value)


def test_each_of_our_loggers_has_an_extra_of_its_name() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert sorted(choosing.registry().entries) == ["comet", "mlflow", "tensorboard", "wandb"]
    assert choosing.registry().entries.keys() <= project["optional-dependencies"].keys()


NEW = """
from pathlib import Path

class Lines:
    def __init__(self, run, file):
        self._file = Path(run.path / file)

    def whole(self):
        return ()

    def asked(self, row):
        with self._file.open("a") as file:
            print(row.number, file=file)

    def reported(self, report): ...
    def ended(self, row): ...
    def flush(self): ...
    def close(self): ...

LOGGER = Lines
"""


def test_a_new_logger_is_one_source_file(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module beside our own is all there is to add: name, arguments and checks follow from it."""
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "lines.py").write_text(NEW)
    monkeypatch.setattr(ours, "__path__", [*ours.__path__, str(tmp_path / "more")])
    monkeypatch.setattr(choosing, "registry", choosing.registry.__wrapped__)
    folder.study.write_text(folder.study.read_text() + "loggers: [{name: lines, file: seen.txt}]\n")
    run_study(load(folder.study), runs=folder.runs, progress=Quiet())
    assert (folder.run_dir / "seen.txt").read_text().split() == ["0", "1", "2", "3"]
    wrong = parse(STUDY + "loggers: [{name: lines, fil: seen.txt}]\n", "study.yaml")
    assert "Lines has no argument `fil`" in str(choosing.problems(wrong)[0])
    del sys.modules[f"{ours.__name__}.lines"]


@pytest.mark.parametrize(
    ("loggers", "said"),
    [
        ("[neptune]", "must be one of comet, mlflow, tensorboard, wandb, or package.module:Class"),
        ("[{name: tensorboard, folders: here}]", "TensorBoardLogger has no argument `folders`"),
        ("[{name: tensorboard, run: here}]", "cannot be given here"),
        ("[{name: tensorboard, folder: 3}]", "must be text or null"),
        ("[{name: nowhere.at_all:Logger}]", "nowhere.at_all:Logger cannot be imported"),
        ("mlflow", "list"),
    ],
)
def test_what_is_wrong_with_a_logger_is_said(loggers: str, said: str) -> None:
    with pytest.raises(SpecError, match="loggers") as caught:
        check_choices(parse(STUDY + f"loggers: {loggers}\n", "study.yaml"))
    assert said in str(caught.value)


def test_a_logger_that_does_not_answer_keeps_no_one_waiting_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server may be out of reach, and its client try again for minutes."""
    monkeypatch.setattr("sweep.driver.loggers.following.LEAVE_S", 0.01)
    answers = threading.Event()
    said: list[str] = []

    def hangs() -> Any:
        answers.wait(60)
        raise OSError("no route to host")

    with open_run(tmp_path) as run:
        begin(run)
        run.write()
        following = Following(run.path / "log.jsonl", {"far": hangs}, said.append, lambda: True)
        with following:
            pass
        assert said == ["the loggers do not answer: they get what they lack when the study resumes"]
        answers.set()
        following._thread.join()
