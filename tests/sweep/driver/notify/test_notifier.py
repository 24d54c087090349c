"""Studies that tell a server on loopback how they go: slow, failing, killed and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runlog.study import read_study
from sweep.api.check import check
from sweep.api.run import run_study
from sweep.api.status import read_status
from sweep.cli import app
from sweep.driver.monitor.progress import BestSoFar, Quiet, StudyView
from sweep.driver.notify import notifier as notifying
from sweep.driver.notify.channels import NotSentError, Webhook
from sweep.driver.notify.message import About, Message
from sweep.driver.notify.notifier import Notifier
from sweep.errors import SpecError
from sweep.spec.notify import Notify
from sweep.spec.parse import load
from sweep.vocabulary.trial import Outcome, TrialState
from tests.processes import wait_until
from tests.sweep.conftest import Folder
from tests.sweep.driver.notify.conftest import Server

SECRET = "T0PSECRET"
VIEW = StudyView(
    ended={"COMPLETE": 1}, running=1, budget=4, slots=1, lanes=1, lanes_busy=1, slots_busy=1, elapsed_s=1.0,
    examples_per_s=1.0, best=BestSoFar(0, 0.5, {"x": 1}),
)  # fmt: skip


STUDY = """\
name: line
command: [sh, -c, 'echo "{{\\"loss\\": {x}}}"; exit CODE']
objective: {metric: loss, direction: minimize}
executor: inline
space: {x: {low: 0.0, high: 1.0}}
sampler: {name: random}
failures: {retry: 0, stop_after: 4}
budget: {trials: TRIALS}
"""


def run(folder: Folder, *, notify: str, trials: int = 4, code: int = 0) -> Any:
    text = STUDY.replace("TRIALS", str(trials)).replace("CODE", str(code))
    folder.study.write_text(f"{text}notify: {notify}\n")
    return run_study(load(folder.study), runs=folder.runs, progress=Quiet())


def told(run_dir: Path) -> list[tuple[str, str]]:
    study = read_study(run_dir, on_damage=lambda each: None)
    return [(each["about"], each["to"]) for each in study.notified]


@pytest.mark.slow
@pytest.mark.usefixtures("described_here")
def test_a_study_tells_its_best_and_its_end_once_and_keeps_no_secret(
    folder: Folder, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOOK", f"{server.url}/services/{SECRET}")
    monkeypatch.setenv("HOOK_TOKEN", f"{SECRET}-token")
    notify = "[{webhook: {env: HOOK}, token: {env: HOOK_TOKEN}}]"
    summary = run(folder, notify=notify)
    assert server.events[-1] == "end"
    assert server.events.count("end") == 1
    [end] = [each for each in server.messages if each["event"] == "end"]
    assert end["trial"] == summary.top[0].number
    assert end["trials"] == {"COMPLETE": 4}
    assert "'x'" not in str(server.messages)
    place = f"webhook at {server.url.removeprefix('http://')}"
    assert told(summary.run_dir) == [(event, place) for event in server.events]
    before = len(server.got)
    assert run(folder, notify=notify).reason == "finished before"
    run(folder, notify=notify, trials=5)
    new = server.messages[before:]
    assert new[-1]["trials"] == {"COMPLETE": 5}
    assert all(each["event"] == "end" or each["trial"] == 4 for each in new), "an earlier best was told again"
    files = [path for path in folder.runs.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert SECRET not in "".join(capsys.readouterr())


@pytest.mark.slow
@pytest.mark.usefixtures("described_here")
def test_a_study_whose_trials_break_tells_that_it_stopped(folder: Folder, server: Server) -> None:
    summary = run(folder, notify=f"[{{webhook: '{server.url}', on: failure}}]", trials=9, code=1)
    assert summary.gave_up
    assert server.events[-1] == "failure"
    assert server.messages[-1]["title"] == "line: stopped"
    assert "4 trials in a row failed." in server.messages[-1]["text"]
    assert "reason" not in server.messages[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("described_here")
def test_a_server_that_is_away_is_said_once_and_the_study_finishes(
    folder: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "PAUSE_S", 0.0)
    summary = run(folder, notify=f"[{{webhook: 'http://127.0.0.1:9/{SECRET}', every: 1s}}]")
    assert summary.counts["COMPLETE"] == 4
    line = "notify: webhook at 127.0.0.1:9 cannot be reached (the study continues)"
    assert capsys.readouterr().err.count(line) == 1
    assert "end" not in [event for event, _ in told(summary.run_dir)]
    assert line in read_status(summary.run_dir).messages


class Slow:
    """A channel that takes until it is let go."""

    name = "slow"

    def __init__(self, server: Server) -> None:
        self._server = server
        self.begun = 0

    def send(self, message: Message) -> None:
        self.begun += 1
        self._server.answers.wait()


def test_a_slow_channel_delays_neither_the_driver_nor_other_channels(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "POLL_S", 0.01)
    monkeypatch.setattr(notifying, "LEAVE_S", 0.3)
    monkeypatch.setattr(notifying, "SILENT_S", 0.1)
    said: list[str] = []
    noted: list[str] = []
    recorded: list[str] = []
    slow = Slow(server)
    server.answers.clear()
    swift = Flaky()
    every = Notify.model_validate({"macos": True})
    made = Notifier(
        [(every, slow), (every, swift)],
        About("line", "loss", "here"),
        record=lambda to, message: recorded.append(to),
        say=said.append,
        note=noted.append,
    )
    with made:
        made.look(VIEW)
        wait_until(lambda: slow.begun)

        wait_until(lambda: swift.sent == ["best"])
    assert said == ["notify: a message has not arrived in time, and is dropped: slow"]
    [waits] = noted
    assert waits.startswith("waiting up to 0 s for the last message to reach slow. All is recorded; Ctrl-C")
    assert recorded == ["slow", "flaky"]
    server.answers.set()


class Flaky:
    """A channel that fails in a way of its own, some times."""

    name = "flaky"

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.sent: list[str] = []

    def send(self, message: Message) -> None:
        if self._errors:
            raise self._errors.pop(0)
        self.sent.append(message.event)


@pytest.mark.parametrize(
    ("errors", "sent", "said"),
    [
        ((NotSentError("answered 503"),) * 2, ["best"], []),
        ((NotSentError("answered 503"),) * 3, [], ["notify: flaky answered 503 (the study continues)"]),
        (
            (NotSentError("answered 404", again=False),),
            [],
            ["notify: flaky answered 404 (the study continues)"],
        ),
        ((RuntimeError(SECRET),), [], ["notify: flaky RuntimeError (the study continues)"]),
    ],
)
def test_what_may_be_different_in_a_moment_is_tried_again(
    errors: tuple[Exception, ...], sent: list[str], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "PAUSE_S", 0.0)
    heard: list[str] = []
    flaky = Flaky(*errors)
    notify = Notify.model_validate({"macos": True, "on": "best"})
    with Notifier([(notify, flaky)], About("line", "loss", "here"), say=heard.append) as made:
        made.look(VIEW)
    assert flaky.sent == sent
    assert heard == said


def test_an_error_that_ends_the_study_is_told(server: Server) -> None:
    notify = Notify.model_validate({"webhook": server.url, "on": "failure"})
    channel = Webhook(server.url)
    made = Notifier([(notify, channel)], About("a", "b", "c"))
    made.__enter__()
    made.look(VIEW)
    made.ended(Outcome(0, TrialState.COMPLETE, (0.5,)))
    made.__exit__(OSError, OSError("the disk is full"), None)
    assert server.messages[-1]["text"].startswith("a: stopped. An error ended it. 1 of 4 trials ended.")
    assert "disk" not in server.messages[-1]["text"]


@pytest.mark.slow
@pytest.mark.usefixtures("described_here")
def test_the_verb_sends_a_message_each_way_and_says_which_failed(
    folder: Folder, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = STUDY.replace("TRIALS", "4").replace("CODE", "0")
    text = f"{study}notify: [{{webhook: {{env: HOOK}}}}, {{command: [sh, -c, 'exit 3']}}]\n"
    folder.study.write_text(text)
    with pytest.raises(SpecError, match="the environment variable HOOK is not set"):
        run_study(load(folder.study), runs=folder.runs, progress=Quiet())
    assert not folder.run_dir.exists()
    monkeypatch.setenv("HOOK", f"{server.url}/{SECRET}")
    done = CliRunner().invoke(app, ["notify-test", str(folder.study)])
    assert done.exit_code == 1
    place = server.url.removeprefix("http://")
    assert done.stdout == f"webhook at {place}: delivered\ncommand sh: ended with exit code 3\n"
    assert server.messages[0]["text"] == "line: test message. Messages of line arrive here."
    folder.study.write_text(f"{study}notify: {{webhook: '{server.url}'}}\n")
    [note] = [note for note in check(folder.study).notes if note.startswith("notify")]
    assert note.startswith("notify[0].webhook stands in the study file")
    folder.study.write_text(study)
    done = CliRunner().invoke(app, ["notify-test", str(folder.study)])
    assert done.exit_code == 2
    assert "notify: names nothing to tell" in done.stderr


def test_a_new_best_is_recorded_before_it_is_sent() -> None:
    """A kill after it was sent does not tell it again."""
    notify = Notify.model_validate({"macos": True, "on": "best"})
    order: list[str] = []

    class Noting(Flaky):
        def send(self, message: Message) -> None:
            order.append("sent")

    made = Notifier([(notify, Noting())], About("a", "b", "c"), record=lambda to, _: order.append("recorded"))
    with made:
        made.look(VIEW)
    assert order == ["recorded", "sent"]
