"""Commands as trials: reports from their output, pruning, resuming, and no process left whatever they do."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import analysis
import sweep
from sweep.api.run import Summary
from sweep.driver.monitor.progress import Quiet
from sweep.errors import SweepError
from sweep.rundir.rundir import RunDir
from sweep.vocabulary.trial import Length, TrialPlan
from sweep.vocabulary.turn import Command, Load, TaskRef, WorkerSettings
from sweep.worker.command.pipes import Pipes
from sweep.worker.command.session import Session
from sweep.worker.command.watchdog import Watchdog
from sweep.worker.footprint import footprint_bytes
from tests.processes import living, wait_until
from tests.sweep.conftest import ROOT, STUDIES
from tests.sweep.in_process import interrupted

STUDY = """\
name: study
seed: 3
command: [python, script.py, train, --rate, "{rate}"]
objective: {metric: loss, direction: minimize}
executor: inline
space: {rate: {low: 0.01, high: 0.4, log: true}}
sampler: {name: random}
budget: {trials: 2}
failures: {retry: 0, stop_after: null}
"""

pytestmark = [pytest.mark.usefixtures("described_here"), pytest.mark.slow]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sweep.worker.command.session.GRACE_S", 0.5)
    monkeypatch.setattr("sweep.worker.command.session.END_S", 0.5)
    monkeypatch.setattr("sweep.worker.command.session.TURN_S", 0.1)
    shutil.copy(STUDIES / "script.py", tmp_path)
    return tmp_path


def run(*changes: tuple[str, str]) -> Summary:
    text = STUDY
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return sweep.run(text, progress=Quiet())


def reasons(summary: Summary) -> list[str]:
    table = analysis.load(summary.run_dir).trials
    return list(table.reason.dropna()) if "reason" in table else []


def shell(script: str) -> tuple[str, str]:
    """The study's command as a shell's script."""
    return 'command: [python, script.py, train, --rate, "{rate}"]', f"command: [sh, -c, {json.dumps(script)}]"


def test_json_lines_are_reports(folder: Path) -> None:
    summary = run()
    found = analysis.load(summary.run_dir)
    assert list(found.metrics[found.metrics.trial == 0].examples) == [100, 200, 300, 400, 500]
    rate = float(found.trials.set_index("number").params_rate[0])
    assert found.trials.set_index("number").value[0] == pytest.approx((2 * (1 - 2 * rate) ** 5) ** 2)
    assert found.trials.ledger_examples.tolist() == [500] * 2
    assert (found.trials.ledger_peak_memory_bytes > 0).all()  # of what ends at once little is seen
    assert (found.trials.ledger_cpu_s > 0).all()
    assert (found.ledger.cpu > pd.Timedelta(0)).all()
    kept = (summary.run_dir / "output" / "trial-00000" / "replicate-0.log").read_text().splitlines()
    assert kept[0] == "# trial 0, attempt 1"
    assert re.match(rf"\$ python \S+/script.py train --rate {rate!r}$", kept[1])
    assert json.loads(kept[-1])["examples"] == 500
    assert len(kept) == 7


def test_patterns_find_metrics_of_a_program_that_knows_nothing_of_sweeps(folder: Path) -> None:
    summary = run(
        ("train, --rate", "logged, --rate"),
        (
            "executor: inline",
            "executor: inline\nmetrics: {loss: 'Val loss ([0-9.]+)', train_loss: 'Train loss ([0-9.]+)', "
            "examples: 'Iter ([0-9]+)'}",
        ),
    )
    rows = analysis.load(summary.run_dir).metrics
    first = rows[rows.trial == 0]
    assert first.examples.tolist() == [10, 20, 30]
    assert first.loss.tolist() == pytest.approx((first.train_loss * first.examples).tolist(), rel=1e-2)


def test_what_a_trial_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "here").mkdir()
    monkeypatch.setenv("HOME", "/somewhere")
    command = '[python, script.py, given, "--a={optimizer.kind}", [--momentum, "{optimizer.momentum-1}"], '
    command += '"{folder}", "{study}", "{seed}", "{{}}", "--resume={resume}", "{left}"]'
    run(
        ('[python, script.py, train, --rate, "{rate}"]', command),
        (
            "executor: inline",
            'executor: inline\nworking_directory: here\nenvironment: {MINE: "at {rate}", HOME: null}\n'
            "trial: {length: {examples: 7}}\n"
            "enqueue: [{optimizer.kind: sgd}, {optimizer.kind: adam}]",
        ),
        (
            "space: {rate: {low: 0.01, high: 0.4, log: true}}",
            "space:\n  rate: {choices: [1.0e-7, 0.25]}\n  optimizer.kind: {choices: [sgd, adam]}\n"
            "  optimizer.momentum-1: {low: 0.0, high: 1.0, when: {optimizer.kind: sgd}}",
        ),
    )
    first, second = (json.loads((folder / f"given-{trial}.json").read_text()) for trial in (0, 1))
    momentum = first["file"]["optimizer"]["momentum-1"]
    own = first["SWEEP_FOLDER"]
    expected = ["--a=sgd", "--momentum", str(momentum), own, str(folder), first["SWEEP_SEED"], "{}", "7"]
    assert first["arguments"] == expected
    assert second["arguments"][0:2] == ["--a=adam", second["SWEEP_FOLDER"]]
    assert first["folder"] == str(folder / "here")
    assert first["mine"] == f"at {first['file']['rate']!r}"
    assert first["home"] is None
    assert json.loads(first["SWEEP_PARAMS"]) == first["file"]
    assert first["path"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert first["SWEEP_SEED"] != second["SWEEP_SEED"]
    assert "SWEEP_RESUME" not in first


def test_a_pruned_trial_gets_sigterm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reports until then."""
    monkeypatch.setattr("sweep.worker.command.session.GRACE_S", 60.0)
    script = f'trap "echo ended > {folder}/ended-$SWEEP_TRIAL; exit 0" TERM; i=0; '
    script += "while [ $i -lt 3 ] || [ $SWEEP_TRIAL = 1 ]; do "
    script += 'i=$((i+1)); echo "{{\\"examples\\": $i, \\"loss\\": {rate}}}"; sleep 0.02; done'
    pruner = (
        "sampler: {name: random}",
        "sampler: {name: random}\npruner: {name: median, n_startup_trials: 1}\n"
        "enqueue: [{rate: 0.02}, {rate: 0.3}]",
    )
    summary = run(shell(script), pruner)
    assert (summary.counts["COMPLETE"], summary.counts["PRUNED"]) == (1, 1)
    assert [path.name for path in folder.glob("ended-*")] == ["ended-1"]


def test_invariant_3_a_study_that_was_killed_resumes_from_what_its_commands_left_in_their_folders(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = analysis.load(run(("name: study", "name: whole")).run_dir)
    monkeypatch.setattr("sweep.worker.command.session.SETTLED_S", -1.0)
    often = ("budget: {trials: 2}", "budget: {trials: 2}\ncheckpoints: {every: 0.001s}")
    resume = ('"{rate}"]', '"{rate}", --slow, 0.05, "--resume={resume}/state.json"]')
    for after in (3, 4):
        interrupted(monkeypatch, after, lambda: run(often, resume))
    summary = run(often, resume)
    found = analysis.load(summary.run_dir)
    assert found.trials.value.tolist() == whole.trials.value.tolist()
    columns = ["trial", "examples", "loss"]
    rows, others = (each.metrics[columns].sort_values(columns[:2]) for each in (found, whole))
    assert rows.to_numpy().tolist() == others.to_numpy().tolist()
    printed = (summary.run_dir / "output" / "trial-00000" / "replicate-0.log").read_text()
    assert "--resume=" not in printed.splitlines()[1]
    assert "--resume=" in printed.split("attempt ", 2)[2]


def test_a_count_that_begins_again_where_a_trial_resumes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.worker.command.session.SETTLED_S", -1.0)
    script = 'touch saved; i=0; while [ $i -lt {left} ]; do i=$((i+1)); echo "step $i loss {rate}"; done'
    changes = (
        shell(script),
        (
            "executor: inline",
            "executor: inline\ncounts_from: resume\ntrial: {length: {examples: 6}}\n"
            "metrics: {loss: 'loss ([0-9.]+)', examples: 'step ([0-9]+)'}\ncheckpoints: {every: 0.001s}",
        ),
        ("trials: 2", "trials: 1"),
    )
    interrupted(monkeypatch, 3, lambda: run(*changes))
    found = analysis.load(run(*changes).run_dir)
    assert found.metrics.examples.tolist() == [1, 2, 3, 4, 5, 6]
    assert found.metrics.attempt.max() == 1


def test_a_length_ends_a_command_that_would_go_on(folder: Path) -> None:
    script = 'i=0; while true; do i=$((i+1)); echo "{{\\"examples\\": $i, \\"loss\\": {rate}}}"; done'
    length = ("executor: inline", "executor: inline\ntrial: {length: {examples: 3}}")
    summary = run(shell(script), length, ("trials: 2", "trials: 1"))
    found = analysis.load(summary.run_dir)
    assert summary.counts["COMPLETE"] == 1
    assert found.metrics.examples.tolist() == [1, 2, 3]


def test_a_command_that_prints_nonsense_at_its_length_is_waited_for_at_rest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Session] = []
    look = Session._look

    def counted(session: Session, pipes: Pipes) -> None:
        looks.append(session)
        look(session, pipes)

    monkeypatch.setattr(Session, "_look", counted)
    patterns = "metrics: {loss: 'loss (\\S+)', examples: 'step (\\S+)'}"
    length = ("executor: inline", f"executor: inline\n{patterns}\ntrial: {{length: {{examples: 2}}}}")
    script = "echo step 2 loss 1; echo step 3 loss low; sleep 1000"
    summary = run(shell(script), length, ("trials: 2", "trials: 1"))
    assert analysis.load(summary.run_dir).metrics.loss.tolist() == [1.0]
    assert len(looks) < 50


def test_a_command_that_stays_at_its_length_is_not_waited_for_once_the_study_stops(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Session] = []
    monkeypatch.setattr(Session, "_look", lambda session, pipes: looks.append(session))
    monkeypatch.setattr("sweep.worker.command.session.END_S", 2.0)
    command = Command(("sh", "-c", said('{"examples": 2, "loss": 1}') + "; sleep 1000"))
    task = TaskRef(str(folder), "")
    settings = WorkerSettings(task, None, keep_final=False, objective=("loss", "minimize"), command=command)
    load = Load(0, TrialPlan(0, 0, {}, (), Length(2, 1)), 0, 0)
    watchdog = Watchdog(0.5)
    session = Session(settings, command, load, folder / "trial", 0, watchdog, lambda: True)
    found = None
    while found is None:
        found, is_over = session.next(0)
    before = len(looks)
    assert is_over
    assert session.close() is None
    watchdog.close()
    assert len(looks) == before < 20


def test_one_value_at_the_end_needs_no_examples(folder: Path) -> None:
    table = analysis.load(run(shell('echo "{{\\"loss\\": {rate}}}"')).run_dir).trials
    assert table.value.tolist() == pytest.approx(table.params_rate.tolist())
    found = ("executor: inline", "executor: inline\nmetrics: {loss: 'is (.+)'}")
    table = analysis.load(
        run(shell("echo it is {rate}"), found, ("name: study", "name: other")).run_dir
    ).trials
    assert table.value.tolist() == pytest.approx(table.params_rate.tolist())


def said(*lines: str) -> str:
    """A script that prints these lines."""
    return "; ".join(f"printf '%s\\n' '{line}'" for line in lines).replace("{", "{{").replace("}", "}}")


FAULTS = {
    "echo one; echo two >&2; exit 3": r"the command ended with code 3: two",
    "echo hello": r"the command ended and printed no loss\. Print JSON .*Its output begins: hello$",
    "true": r"the command ended and printed no loss.* It printed nothing",
    "kill -KILL $$": r"the command was ended by SIGKILL, as a system does that is out of memory",
    "kill -TERM $$": r"the command was ended by SIGTERM$",
    'echo "{{\\"examples\\": 1, \\"loss\\": \\"low\\"}}"': r"`loss` is str 'low', which is no number",
    'echo "{{\\"examples\\": 1.5, \\"loss\\": 1}}"': r"`examples` is 1.5, not a count",
    'echo "{{\\"examples\\": 1, \\"other\\": 1}}"': r"objective loss is missing from the last report",
    said('{"examples": 1e300, "loss": 1}'): r"`examples` is 1e\+300, not a count",
    said(f'{{"examples": 1, "loss": 1{"0" * 400}}}'): r"`loss` is int 10+, which is no number$",
    said('{"examples": 1, "loss": 1, "updates": Infinity}'): r"`updates` is inf, not a count",
    said('{"examples": 1, "loss": 1, "epoch": NaN}'): r"`epoch` is nan\. Report how many epochs",
    said('{"examples": 1, "loss": 1, "": 1}'): r"'' cannot be a metric's name",
    said(r'{"examples": 1, "loss": 1, "\ud800": 1}'): r"'.ud800' cannot be a metric's name",
    said('{"examples": 1, "loss": NaN}'): r"objective loss is NaN in the last report",
    said('{"examples": 2, "loss": 1}', '{"examples": 2, "train": 1}'): r"`examples` is 2 after 2\. "
    r"Report more each time, all of one count at once",
}


def faults(scripts: Mapping[str, str], *changes: tuple[str, str]) -> None:
    """A study with a trial for each script, whose failures are said as they should be."""
    cases = " ".join(f"{place}) {script};;" for place, script in enumerate(scripts))
    space = (
        "{rate: {low: 0.01, high: 0.4, log: true}}",
        f"{{case: {{choices: {list(range(len(scripts)))}}}}}",
    )
    grid = ("{name: random}", "{name: grid}")
    summary = run(
        shell(f"case {{case}} in {cases} esac"),
        space,
        grid,
        ("trials: 2", f"trials: {len(scripts)}"),
        *changes,
    )
    table = analysis.load(summary.run_dir).trials.set_index("params_case")
    for place, (script, said) in enumerate(scripts.items()):
        reason = table.reason[place].replace("\n", " ")
        assert re.match(said, reason), (script, reason)


def test_invariant_10_what_a_command_does_wrong_fails_its_trial_in_a_line(folder: Path) -> None:
    faults(FAULTS)


def test_what_was_printed_before_a_fault_is_recorded(folder: Path) -> None:
    lines = [f'{{"examples": {step}, "loss": {value}}}' for step, value in ((1, 2), (2, 1), (3, '"x"'))]
    summary = run(shell(f"{said(*lines)}; sleep 1000"), ("trials: 2", "trials: 1"))
    assert reasons(summary) == ["`loss` is str 'x', which is no number"]
    assert analysis.load(summary.run_dir).metrics.loss.tolist() == [2.0, 1.0]


def test_a_file_of_metrics_that_is_overwritten_is_said(folder: Path) -> None:
    """As with `open(path, "w")` for each report: the lines between two looks are gone."""
    line = """printf '{{"examples": 1, "loss": %d}}\\n' $i > $SWEEP_METRICS"""
    loop = f"i=0; while true; do i=$((i+1)); {line}; sleep 0.05; done"
    (reason,) = reasons(run(shell(loop), ("trials: 2", "trials: 1")))
    assert reason.startswith("the file of SWEEP_METRICS was overwritten")


PATTERN_FAULTS = {
    "echo step 1": r"the command ended and no line of its output matches metrics\.loss \(loss \(\\S\+\)\)\. "
    r"Change the pattern\. Its output begins: step 1",
    "echo step 0 loss 1": r"the command ended, and no line belongs to loss, or examples were never above 0",
    "echo step 1 loss low": r"metrics\.loss found 'low', which is no number, in the line: step 1 loss low",
}


def test_invariant_10_what_patterns_do_not_find_fails_the_trial_in_a_line(folder: Path) -> None:
    patterns = "metrics: {loss: 'loss (\\S+)', examples: 'step (\\S+)'}"
    faults(PATTERN_FAULTS, ("executor: inline", f"executor: inline\n{patterns}"))


def test_invariant_10_a_hyperparameter_that_no_argument_can_hold(folder: Path) -> None:
    choices = ("{low: 0.01, high: 0.4, log: true}", '{choices: ["a\\0b", "c\\0d"]}')
    (reason,) = reasons(run(choices, ("trials: 2", "trials: 1")))
    assert reason.startswith("the command cannot be started: a hyperparameter holds a character that no")


def test_a_pruner_needs_examples(folder: Path) -> None:
    pruner = ("sampler: {name: random}", "sampler: {name: random}\npruner: {name: median}")
    (reason, _) = reasons(run(shell('echo "{{\\"loss\\": {rate}}}"'), pruner))
    assert "printed loss without `examples`, which the pruner goes by" in reason


def left_of(folder: Path) -> list[int]:
    """Which of the processes that wrote their numbers down are still there."""
    return living(map(int, (folder / "pids").read_text().split()))


@pytest.mark.parametrize("kind", ["hangs", "ignores", "forks", "leaves"])
def test_no_process_is_left_and_the_study_goes_on(kind: str, folder: Path) -> None:
    command = ('train, --rate, "{rate}"', f'children, --kind, {kind}, --rate, "{{rate}}"')
    timeout = ("executor: inline", "executor: inline\ntrial: {timeout: 1s}")
    summary = run(command, *([timeout] if kind != "leaves" else []))
    assert len((folder / "pids").read_text().split()) >= 2
    assert left_of(folder) == []
    if kind == "leaves":
        assert summary.counts["COMPLETE"] == 2
    else:
        assert [reason.partition(":")[0] for reason in reasons(summary)] == ["timed out"] * 2
    killed = [text for text in sweep.status(summary.run_dir).messages if "was killed" in text]
    assert bool(killed) == (kind == "ignores")


def test_what_is_not_read_yet_when_a_command_ends_is_read_while_what_it_left_behind_is_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.worker.command.pipes.PIECE_BYTES", 16)
    command = ('train, --rate, "{rate}"', 'children, --kind, many, --rate, "{rate}"')
    summary = run(command, ("trials: 2", "trials: 1"))
    assert analysis.load(summary.run_dir).metrics.examples.tolist() == list(range(1, 51))
    assert left_of(folder) == []


def test_a_study_that_is_stopped_knows_all_that_its_command_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had run ahead of what was asked for, and reports once more when it gets SIGTERM."""
    record = RunDir.record_reports

    def stopping(*arguments: Any, **named: Any) -> None:
        record(*arguments, **named)
        monkeypatch.setattr(RunDir, "record_reports", record)
        os.kill(os.getpid(), signal.SIGINT)

    changes = (
        ('train, --rate, "{rate}"', 'stopped, --rate, "{rate}", "--resume={resume}/state.json"'),
        ("trials: 2", "trials: 1"),
    )
    monkeypatch.setattr(RunDir, "record_reports", stopping)
    summary = run(*changes)
    assert summary.reason == "interrupted"
    found = analysis.load(summary.run_dir)
    assert found.metrics.examples.tolist() == [1, 2, 3, 4]
    assert found.checkpoints.examples.tolist() == [4]
    found = analysis.load(run(*changes).run_dir)
    assert found.metrics.examples.tolist() == [1, 2, 3, 4, 5, 6]
    assert found.trials.state.tolist() == ["COMPLETE"]


def test_much_output_and_binary_output_lose_nothing(folder: Path) -> None:
    script = 'head -c 100000000 /dev/zero | tr "\\\\0" x; head -c 3000000 /dev/urandom; echo; '
    script += 'echo "{{\\"examples\\": 1, \\"loss\\": {rate}}}"'
    summary = run(shell(script), ("trials: 2", "trials: 1"))
    assert summary.counts["COMPLETE"] == 1
    kept = [path.stat().st_size for path in (summary.run_dir / "output").rglob("*.log")]
    assert sum(kept) < 3_000_000
    assert any("bytes that are no UTF-8" in text for text in sweep.status(summary.run_dir).messages)


# The guard's error comes anywhere, also where a folder is being listed: that Python closes itself.
@pytest.mark.filterwarnings("ignore:.*ScandirIterator:pytest.PytestUnraisableExceptionWarning")
def test_what_left_the_session_counts_under_the_memory_guard(folder: Path) -> None:
    limit = footprint_bytes() + 150_000_000
    command = ('train, --rate, "{rate}"', 'children, --kind, hogs, --rate, "{rate}"')
    memory = ("executor: inline", f"executor: inline\nworker: {{memory: {limit // 1_000_000} MB}}")
    (reason,) = reasons(run(command, memory, ("trials: 2", "trials: 1")))
    assert reason.startswith("out of memory: the worker and its command took")
    assert left_of(folder) == []


KILLED = """
import sys, time
from pathlib import Path
from sweep.worker.command.family import MARK
from sweep.worker.command.process import Process
from sweep.worker.command.watchdog import Watchdog
import os
dog = Watchdog(0.2)
process = Process(
    [sys.executable, "script.py", "children", "--kind", sys.argv[1]],
    folder=Path.cwd(), environment={**os.environ, MARK: "one"},
)
dog.watch(process)
process.popen.stdout.readline()
print("ready", flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize(("kind", "count"), [("ignores", 1), ("forks", 3)])
def test_where_the_worker_itself_is_killed_its_command_ends_too(kind: str, count: int, folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, kind],
        stdout=subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        assert len(left_of(folder)) == count
        worker.kill()
    wait_until(lambda: left_of(folder) == [], what="what it started to end")


def test_a_changed_program_is_not_resumed(folder: Path) -> None:
    run(("trials: 2", "trials: 1"))
    (folder / "script.py").write_text((folder / "script.py").read_text() + "\n")
    with pytest.raises(SweepError, match=r"the source of task python script.py .* changed"):
        run()
    with pytest.raises(SweepError, match=r"command\[3\]: was `--rate`, is `--rates`"):
        run(("--rate", "--rates"))


def test_check_says_what_a_command_is(folder: Path) -> None:
    text = sweep.check(STUDY).as_text()
    assert "command: python script.py train --rate {rate}\neach trial: until it ends" in text


def test_the_example_of_a_script_is_swept_pruned_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.worker.command.session.SETTLED_S", -1.0)
    for name in ("study.yaml", "train.py"):
        shutil.copy(ROOT / "examples" / "script" / name, tmp_path)
    # A fast machine trains all epochs before the first report is read: it waits for its first checkpoint.
    script, loop = tmp_path / "train.py", "while epoch < given.epochs:\n"
    wait = (
        "    for _ in range(6000 if epoch == 4 and given.alpha < 1 else 0):\n"
        "        if [*Path(__file__).parent.glob('runs/*/checkpoints/*/*/*')]:\n            break\n"
        "        __import__('time').sleep(0.01)\n"
    )
    assert loop in script.read_text()
    script.write_text(script.read_text().replace(loop, loop + wait))
    study = tmp_path / "study.yaml"
    text = study.read_text()
    for old, new in (
        ("trials: 12", "trials: 2"),
        ("n_startup_trials: 4", "n_startup_trials: 1, n_warmup_steps: 2"),
        ("{low: 1.0e-6, high: 1.0, log: true}", "{choices: [1.0e-3, 1.0e+3]}"),
        ("pruner:", "enqueue: [{alpha: 1.0e-3, loss: hinge}, {alpha: 1000.0, loss: hinge}]\npruner:"),
    ):
        assert old in text
        text = text.replace(old, new)
    study.write_text(text + "executor: inline\ncheckpoints: {every: 0.001s}\n")
    monkeypatch.chdir(tmp_path)
    interrupted(monkeypatch, 5, lambda: sweep.run(study, progress=Quiet()))
    summary = sweep.run(study, progress=Quiet())
    table = analysis.load(summary.run_dir).trials.set_index("number")
    assert table.state.tolist()[:2] == ["COMPLETE", "PRUNED"]
    assert sweep.logs(summary.run_dir, 0).replicates[0].count("continuing after epoch") == 1


def test_check_shows_a_dozen_rungs_where_a_command_ends_by_itself(folder: Path) -> None:
    text = sweep.check(STUDY + "pruner: {name: successive_halving, min_resource: 1}\n").as_text()
    (line,) = (line for line in text.splitlines() if line.startswith("pruner:"))
    assert line.endswith(", 4194304, ...")
