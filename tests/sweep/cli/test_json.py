"""Every verb with `--json`: one value alone on stdout, of the shape that docs/verbs.schema.json says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import typer.main
from typer.testing import CliRunner

from clusters.doctor.finding import Finding, Status
from clusters.lifecycle.bringup import Ended
from clusters.lifecycle.states import NodeProgress, Phase
from clusters.lifecycle.status import ClusterStatus, NodeStatus
from clusters.reserve import Reservation
from clusters.sync import Synced
from sweep.api.exporting.schedule import ExportedSchedule
from sweep.api.exporting.tables import ExportedAdapter
from sweep.api.steering import verbs as verbs_of_a_run
from sweep.api.steering.asking import Asked
from sweep.cli import app
from tests.sweep.conftest import ROOT
from tests.sweep.shapes import SCHEMA, validated

SHARED = {
    "scalar",
    "params",
    "number",
    "counts",
    "objectives",
    "best_trial",
    "difference",
    "ledger",
    "rows",
    "final",
    "asked",
}

STUDY = """\
name: study
command: [sh, -c, 'touch saved; echo "{{\\"examples\\": 1, \\"loss\\": {x}}}"; exit {code}']
objective: {metric: loss, direction: minimize}
executor: inline
space: {x: {low: 0.0, high: 1.0}, code: {choices: [0, 1]}}
sampler: {name: random}
trial: {length: {examples: 5}}
enqueue: [{x: 0.5, code: 0}, {x: 0.25, code: 0}, {x: 0.1, code: 1}]
failures: {retry: 0, stop_after: null}
budget: {trials: 3}
notify: {command: ["true"]}
"""

LOCAL = {
    "run": "study.yaml --quiet --no-report",
    "check": "study.yaml",
    "notify-test": "study.yaml",
    "plan": "study.yaml --nodes 2 --trial-seconds 1",
    "queue": "",
    "status": "runs/study",
    "list": "",
    "show": "runs/study 0",
    "logs": "runs/study 0",
    "compare": "runs/study runs/study",
    "export": "runs/study",
    "report": "runs/study",
    "verify": "runs/study",
    "replay": "runs/study 0",
    "retry": "runs/study --failed",
    "rm": "runs/study --keep-best 0 --yes",
    "init": "script --into new",
    "import": "sweep.yaml --into imported.yaml",
    "schema": "",
    "extend": "runs/study --length 9 --quiet",
    "export-adapter": "runs/study adapter",
    "export-schedule": "runs/study",
    "set": "runs/study budget.trials=9",
    "enqueue": "runs/study x=0.75",
    "note": "runs/study fine",
    "tag": "runs/study 0 star",
    "prune": "runs/study 0",
    "finish": "runs/study 0",
    "pause": "runs/study",
    "resume": "runs/study",
    "stop": "runs/study",
    "attach": "study.yaml",
    "fetch": "study.yaml",
    "watch": "runs/study",
    "ui": "runs/study",
}
"""The verbs with their arguments, in an order in which each finds what it needs."""

RUNS = ("prune", "finish", "pause", "resume", "stop")
"""Verbs that a run which has ended refuses: their answers are made up."""

CLUSTER = ("doctor", "up", "down", "sync", "status", "reserve")
ELSEWHERE = {
    "selftest": "takes a minute: its recorded results are looked at",
    "mcp": "speaks its own protocol",
    "warm": "needs a task: tests/sweep/api/test_warm.py runs it",
}


def verbs() -> Iterator[str]:
    """All verbs, those of the cluster by two words."""
    commands: dict[str, Any] = getattr(typer.main.get_command(app), "commands", {})
    for name, command in commands.items():
        inner = getattr(command, "commands", None)
        yield from (f"{name} {each}" for each in inner) if inner else [name]


def test_each_verb_has_a_shape_and_is_run_here() -> None:
    run = {*LOCAL, *(f"cluster {verb}" for verb in CLUSTER)}
    assert run | set(ELSEWHERE) == set(verbs())
    assert set(SCHEMA["$defs"]) - SHARED == set(verbs()) - {"mcp"}
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.slow
@pytest.mark.usefixtures("described_here")
def test_what_each_verb_prints_has_its_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(STUDY)
    Path("sweep.yaml").write_text("program: a.py\nmethod: random\nparameters: {x: {min: 0.1, max: 1.0}}\n")
    remote = SimpleNamespace(
        spec=SimpleNamespace(name="study"),
        host="mac",
        follow=lambda runs: (runs / "study", 0),
        stop=lambda: None,
        fetch=lambda runs: runs / "study",
    )
    monkeypatch.setattr("sweep.api.remote.remote_study", lambda study: remote)
    monkeypatch.setattr("sweep.api.extend.write_extension", lambda *_, **__: Path("study.yaml"))
    written = ExportedAdapter(0, ("mlx_lm.generate",), ())
    monkeypatch.setattr("sweep.api.exporting.tables.export_adapter", lambda *_: written)
    schedule = ExportedSchedule(Path("study-trial-0.yaml"), 0, 2)
    monkeypatch.setattr("sweep.api.exporting.schedule.export_schedule", lambda *_, **__: schedule)
    monkeypatch.setattr("sweep.api.pages.report.write_report", lambda run: run / "report.html")
    monkeypatch.setattr(
        "sweep.api.pages.watch.serve", lambda *_, on_ready, **__: on_ready("http://127.0.0.1:1")
    )
    monkeypatch.setattr("sweep.api.pages.ui.serve", lambda *_, on_ready, **__: on_ready("http://127.0.0.1:1"))
    ended = {verb: lambda *_: Asked("runs/study", "1", "verb", answered=True, answer="done") for verb in RUNS}
    monkeypatch.setattr("sweep.api.steering.verbs", SimpleNamespace(**{**vars(verbs_of_a_run), **ended}))
    for verb, arguments in LOCAL.items():
        done = CliRunner().invoke(app, [verb, *arguments.split(), "--json"])
        assert done.exit_code == 0, (verb, done.output)
        found = validated(verb, done.stdout)
        if verb == "status":
            assert found["trials"] == {"COMPLETE": 2, "FAIL": 1}
        if verb == "rm":
            assert len(found["deleted"]) == 2
    found = validated(
        "export", CliRunner().invoke(app, ["export", "runs/study", "--json", "--to", "t.csv"]).stdout
    )
    assert found["path"] == "t.csv"


STATES = {
    "clusters.doctor.examine.examine": [Finding("mac", "python", Status.RED, "which python", "", "brew")],
    "clusters.lifecycle.bringup.up": [NodeProgress("mac", Phase.UP, 1, 1.0)],
    "clusters.lifecycle.bringup.down": [Ended("mac", True)],
    "clusters.sync.sync": [Synced("mac", ("project",))],
    "clusters.reserve.reservations": [Reservation("mac", "ann@mac", 60.0, "Sun 17:00")],
    "clusters.lifecycle.status.status": ClusterStatus("mac:1", (NodeStatus("mac", "up", 2),), "d", "t", "k"),
}


@pytest.mark.parametrize("verb", CLUSTER)
def test_what_each_verb_of_a_cluster_prints_has_its_shape(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = SimpleNamespace(address="mac:1")
    monkeypatch.setattr("clusters.inventory.load", lambda _: lab)
    monkeypatch.setattr("clusters.addresses.with_addresses", lambda found: found)
    for name, state in STATES.items():
        monkeypatch.setattr(name, lambda *_, state=state, **__: state)
    done = CliRunner().invoke(app, ["cluster", verb, "lab.yaml", "--json"])
    validated(f"cluster {verb}", done.stdout)


def test_what_was_recorded_of_selftests_has_its_shape() -> None:
    texts = [path.read_text() for path in (ROOT / "selftest" / "recorded").glob("chip-*.json")]
    assert texts
    for text in texts:
        validated("selftest", text)
