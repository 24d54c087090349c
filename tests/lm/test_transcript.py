"""docs/language-models.md: its transcript is typed here, from an empty folder, on a study cut short."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

from mlx_lm.generate import main as generate

import analysis
from lm import pretrain, settings
from lm.generating import scores
from runlog.tables import DEFAULTS
from sweep.api import init
from sweep.cli import app
from sweep.driver.processes import describe
from sweep.worker.describe_task import answer

PAGE = (Path(__file__).parents[2] / "docs" / "language-models.md").read_text()
TYPED = re.findall(r"^```console\n\$ (.*?)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
pytestmark = pytest.mark.usefixtures("uncompiled", "described_here")


@pytest.fixture
def described_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process would spend its time on importing transformers."""
    monkeypatch.setattr(describe, "_ask", lambda _, request: answer(json.loads(json.dumps(request))))


def change_the_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """After a run its text is the one that the run recorded; a resume says that it changed."""
    config, study = folder / "lora_config.yaml", folder / "study.yaml"
    config.write_text(config.read_text() + "  keys: [self_attn.q_proj]\n")
    valid = folder / "data" / "valid.jsonl"
    valid.write_text(valid.read_text().partition("\n")[2])
    said = typed("sweep export-adapter runs/lora again", monkeypatch, capfd)
    assert "data/valid.jsonl, which the task reads, has changed since the run" in said
    written = [(folder / name / "adapter_config.json").read_text() for name in ("adapters", "again")]
    assert written[0] == written[1]
    study.write_text(study.read_text().replace("budget: {trials: 2}", "budget: {trials: 3}"))
    refused = CliRunner().invoke(app, ["run", "study.yaml"])
    said = " ".join(refused.output.split())
    assert refused.exit_code == 2, said
    assert "what task lm:FineTune reads changed since the run started: lora_config.yaml, data/valid" in said


def typed(command: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> str:
    """What a command prints."""
    program, *arguments = shlex.split(command)
    capfd.readouterr()
    if program == "sweep":
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        return capfd.readouterr().err + result.output
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    generate()
    return capfd.readouterr().out


def shorten(study: Path) -> None:
    text = study.read_text()
    for old, new in (
        ("budget: {trials: 12}", "budget: {trials: 2}\nexecutor: inline\nlanes: 2"),
        ("length: {updates: 16}", "length: {updates: 2}"),
        ("report_every: {updates: 8}", "report_every: {updates: 2}"),
    ):
        assert old in text
        text = text.replace(old, new)
    study.write_text(text)


@pytest.mark.slow
def test_the_transcript_is_typed(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(init.MADE, "lora", ())  # what the set-up makes was made before, by the same script
    (tmp_path / "base").symlink_to(example / "base")
    shutil.copytree(example / "data", tmp_path / "data")
    monkeypatch.setattr(init, "set_up", lambda *_: "base: a tiny Llama, loss 5.22 after 60 updates")
    said = {}
    for command, _ in TYPED:
        said[command.split(" --")[0]] = typed(command, monkeypatch, capfd)
        if command == "sweep init lora":
            wanted = dict(TYPED)[command]
            assert said[command] == wanted
            config = tmp_path / "lora_config.yaml"
            config.write_text(config.read_text().replace("max_seq_length: 64", "max_seq_length: 26"))
        elif command == "sweep check study.yaml":  # the last one of the study as the page has it
            shown = [line for line in dict(TYPED)[command].splitlines() if not line.startswith("  ")]
            counts = r"\d+ examples|batches are [\d, ]+ wide|at most \d times"  # its tokenizer decides them
            words = re.sub(counts, "n", said[command])
            lines = [re.sub(counts, "n", line) for line in shown]
            assert [line for line in lines if line not in words] == [], said[command]
            shorten(tmp_path / "study.yaml")
    assert len(said) == 5
    assert "2 complete" in said["sweep run study.yaml"]
    rows = analysis.load("runs/lora").metrics
    assert (rows.tokens_per_s > 0).all()
    assert (rows.train_tokens > 0).all()
    assert re.search(r"^wrote trial [01] to adapters$", said["sweep export-adapter runs/lora adapters"], re.M)
    assert "==========" in said["mlx_lm.generate"]
    change_the_configuration(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize("given", [["x", "out"], ["1", "2", "out"]])
def test_what_is_no_trial_and_folder_is_refused_before_the_run_is_read(given: list[str]) -> None:
    done = CliRunner().invoke(app, ["export-adapter", "runs/lora", *given])
    assert (done.exit_code, f"{' '.join(given)}: is not [TRIAL] OUT" in done.stderr) == (2, True)


def test_each_key_of_the_page_is_one_that_there_is() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    known = {*pretrain.VALUES, *settings.TAKEN, *settings.LEFT_TO_THE_STUDY, *settings.REFUSED}
    reported = {"train_loss", "validation_loss", "validation_perplexity", "train_tokens", "learning_rate"}
    known |= {scores.EXACT_MATCH, *reported, *DEFAULTS}
    assert named - known == set()
    assert {*settings.REFUSED} - named <= {"swanlab", "project_name"}


def test_check_says_what_a_later_trial_would_meet(example: Path, tmp_path: Path) -> None:
    """Without this the first trial of rank 16 would fail, after others have trained."""
    study = tmp_path / "study.yaml"
    for name in ("base", "data", "lora_config.yaml"):
        (tmp_path / name).symlink_to(example / name)
    study.write_text((example / "study.yaml").read_text().replace("[2, 4, 8]", "[2, 4, 16]"))
    result = CliRunner().invoke(app, ["check", str(study)])
    assert result.exit_code == 2
    assert "rank 16 is above max_rank 8" in " ".join(result.output.split())
