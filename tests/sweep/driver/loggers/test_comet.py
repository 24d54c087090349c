"""Comet: the real client, offline; its archives read back, as `comet upload` reads them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.run_dirs import accuracy, ask, begin, open_run, outcome, plan, report
from tests.sweep.driver.loggers.fed import begun, continued, follow

pytestmark = pytest.mark.slow

OFFLINE = "{name: comet, mode: offline}"


@dataclass
class Experiment:
    """All archives of an experiment together, as Comet has them once they are uploaded."""

    key: str
    archives: int = 0
    tags: set[str] = field(default_factory=set)
    others: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)


def uploaded(run: Path) -> dict[str, Experiment]:
    """By name; each archive makes its experiment or adds to it, in the order of their names."""
    found: dict[str, Experiment] = {}
    for path in sorted((run / "comet").glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read("experiment.json"))
            lines = archive.read("messages.json").decode().splitlines()
        assert (about["resume_strategy"], about["project_name"]) == ("get_or_create", "study")
        each = found.setdefault(about["offline_id"], Experiment(about["offline_id"]))
        each.archives += 1
        each.tags |= set(about["tags"])
        for line in map(json.loads, lines):
            enter(each, line["type"], line["payload"])
    assert len({each.others["Name"] for each in found.values()}) == len(found)
    return {each.others["Name"]: each for each in found.values()}


def enter(each: Experiment, kind: str, sent: dict[str, Any]) -> None:
    if kind == "log_other":
        each.others[sent["key"]] = sent["value"]
    elif kind == "parameter_msg" and sent["param"]["source"] == "manual":
        each.params[sent["param"]["paramName"]] = sent["param"]["paramValue"]
    elif kind == "metric_msg" and sent["metric"]["metricName"] != "process duration":
        metric = sent["metric"]
        each.metrics.setdefault(metric["metricName"], []).append((metric["step"], metric["metricValue"]))


def agree(run: Path) -> None:
    """All that the two sessions recorded is there, each thing once."""
    found = uploaded(run)
    assert found.keys() == {"study", "trial-00000", "trial-00001", "trial-00002", "trial-00003"}
    assert found["trial-00000"].metrics["acc@5"] == [(100, 0.1), (200, 0.2), (300, 0.3)]
    for name, steps in (("trial-00001", [100, 200, 300]), ("trial-00002", [100, 200])):
        assert [step for step, _ in sorted(found[name].metrics["accuracy"])] == steps
    assert dict(found["trial-00001"].metrics["accuracy"])[200] == pytest.approx(accuracy(1, 200))
    assert found["trial-00003"].metrics["loss"] == [(100, "NaN")]
    for number in range(4):
        assert found[f"trial-{number:05d}"].params == plan(number).hyperparameters
    ends = {name: each.others.get("state") for name, each in found.items()}
    assert (ends["trial-00001"], ends["trial-00002"], ends["trial-00003"]) == ("COMPLETE", "FAIL", "PRUNED")
    assert found["trial-00002"].others["reason"] == "loss is nan"
    assert found["trial-00003"].tags == {"study", "PRUNED"}
    assert [value for _, value in found["trial-00000"].metrics["value"]] == [accuracy(0, 300)]
    study = found["study"]
    assert sorted(study.metrics["best"]) == [(n, accuracy(min(n, 1), 300)) for n in (0, 1, 3)]
    assert (study.others["best_trial"], study.others["learning_rate"]) == (1, 0.05)


def test_a_session_that_resumes_continues_its_experiments_and_writes_nothing_twice(tmp_path: Path) -> None:
    begun(tmp_path)
    with open_run(tmp_path) as run:
        assert follow(run, OFFLINE) == []
        first = uploaded(run.path)
        assert {name: len(each.metrics.get("accuracy", ())) for name, each in first.items()} == {
            "study": 0, "trial-00000": 3, "trial-00001": 1, "trial-00002": 1
        }  # fmt: skip
        continued(run)
        assert follow(run, OFFLINE) == []
        agree(run.path)
        assert uploaded(run.path)["trial-00001"].key == first["trial-00001"].key
        assert uploaded(run.path)["trial-00000"].archives == 1
        before = sorted((run.path / "comet").iterdir())
        follow(run, OFFLINE)
        agree(run.path)
        assert sorted((run.path / "comet").iterdir()) == before, "there was nothing new"


def test_archives_of_a_session_that_was_killed_before_it_noted_them_are_written_again(tmp_path: Path) -> None:
    begun(tmp_path)
    with open_run(tmp_path) as run:
        follow(run, OFFLINE)
        noted = run.path / "comet" / "sweep-written"
        noted.write_text("".join(noted.read_text().splitlines(keepends=True)[:1]))
        continued(run)
        follow(run, OFFLINE)
        agree(run.path)


def test_a_name_that_comet_would_cut_off_is_another_one_there(tmp_path: Path) -> None:
    names = ("m" * 120 + "a", "m" * 120 + "b")
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        run.record_reports([report(0, 100, metrics={"accuracy": 0.5, names[0]: 0.25, names[1]: 0.75})])
        run.record_outcome(outcome(0))
        said = follow(run, OFFLINE)
    one, other = "m" * 90, "m" * 90 + "_2"
    assert said == [f"logger comet: {names[0]} is {one} there", f"logger comet: {names[1]} is {other} there"]
    metrics = uploaded(run.path)["trial-00000"].metrics
    assert (metrics[one], metrics[other]) == ([(100, 0.25)], [(100, 0.75)])


def test_without_a_key_it_is_off_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMET_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    begun(tmp_path)
    with open_run(tmp_path) as run:
        [said] = follow(run, "comet")
    assert "no Comet key is known here. Run: comet login, or write {name: comet, mode: offline}" in said
