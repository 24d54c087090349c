"""What commands printed, from the run directory alone: both files, and followed while it grows."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sweep
from sweep.api import logs as kept
from sweep.cli import app, runs
from sweep.driver import printed
from sweep.errors import SweepError
from sweep.rundir.rundir import RunDir
from sweep.vocabulary.trial import Length, RunId, TrialPlan


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    with RunDir.open(tmp_path, "study") as run:
        run.record_opened(objectives=[("loss", "minimize")], choices={}, trials=2)
        run.record_asked(TrialPlan(0, 0, {}, (), Length(1, 1)), {}, {})
        run.commit()
    return tmp_path / "study"


def test_much_output_is_two_files_and_its_end_is_kept(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed, "MAX_BYTES", 10)
    output = printed.Printed(run_dir)
    for line in ("first\n", "second\n", "third\n", "fourth\n", "fifth\n"):
        output.enter({RunId(0, 0): line.encode()})
    assert sweep.logs(run_dir, 0).replicates == {0: "third\nfourth\nfifth\n"}


def test_the_verb_prints_it(run_dir: Path) -> None:
    printed.Printed(run_dir).enter({RunId(0, 0): b"one\n\xff\n", RunId(0, 1): b"two\n"})
    said = CliRunner().invoke(app, ["logs", str(run_dir), "0"])
    assert (said.exit_code, said.output) == (0, "one\n\N{REPLACEMENT CHARACTER}\n")
    assert CliRunner().invoke(app, ["logs", str(run_dir), "0", "--replicate", "1"]).output == "two\n"
    found = json.loads(CliRunner().invoke(app, ["logs", str(run_dir), "0", "--json"]).output)
    assert found == {
        "run": "study",
        "trial": 0,
        "replicates": {"0": "one\n\N{REPLACEMENT CHARACTER}\n", "1": "two\n"},
    }


@pytest.mark.parametrize("follow", [False, True])
def test_a_terminal_obeys_nothing_in_it_and_a_pipe_gets_it_as_it_is(
    follow: bool, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m\rdone\n"
    printed.Printed(run_dir).enter({RunId(0, 0): text.encode()})
    for is_terminal, seen in ((False, text), (True, "\x1b[31mred\x1b[0m\ndone\n\x1b[0m")):
        stdout = io.StringIO()
        monkeypatch.setattr(stdout, "isatty", lambda told=is_terminal: told, raising=False)
        monkeypatch.setattr("sys.stdout", stdout)
        runs.logs(run_dir, 0, follow=follow)
        assert stdout.getvalue() == seen


def test_a_letter_that_comes_in_two_pieces_is_one(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = printed.Printed(run_dir)
    output.enter({RunId(0, 0): "é".encode()[:1]})
    lines = iter(["é".encode()[1:]])
    monkeypatch.setattr(kept, "holder", lambda path: 1 if _enter(output, lines) else None)
    assert "".join(kept.follow(run_dir, 0)) == "é"


def test_what_comes_while_the_first_part_is_printed_is_followed_too(run_dir: Path) -> None:
    output = printed.Printed(run_dir)
    output.enter({RunId(0, 0): b"one\n"})
    found = ""
    for text in kept.follow(run_dir, 0):
        if "one" in text:
            output.enter({RunId(0, 0): b"two\n"})
        found += text
    assert found == "one\ntwo\n"


def test_what_is_added_is_followed_until_nothing_runs(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = printed.Printed(run_dir)
    output.enter({RunId(0, 0): b"one\n"})
    monkeypatch.setattr(printed, "MAX_BYTES", 10)
    lines = iter([b"two\n", b"three\n", b"four\n"])
    monkeypatch.setattr(kept, "holder", lambda path: 1 if _enter(output, lines) else None)
    assert "".join(kept.follow(run_dir, 0)) == "one\ntwo\nthree\nfour\n"


def _enter(output: printed.Printed, lines: object) -> bool:
    line = next(lines, None)  # type: ignore[call-overload]
    if line is not None:
        output.enter({RunId(0, 0): line})
    return line is not None


def test_invariant_10_no_such_trial_and_no_output(run_dir: Path) -> None:
    with pytest.raises(SweepError, match=r"no trial 7 \(trials 0 to 0 exist\)"):
        sweep.logs(run_dir, 7)
    with pytest.raises(SweepError, match="no output of trial 0 is kept"):
        sweep.logs(run_dir, 0)
