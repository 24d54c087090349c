"""What is said of a command that does not fit its study, one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.errors import SpecError
from sweep.spec.command import program
from sweep.spec.parse import parse

STUDY = """\
name: study
command: [python, train.py, --rate, "{rate}"]
objective: {metric: loss, direction: minimize}
space: {rate: {low: 0.01, high: 0.4, log: true}}
budget: {trials: 2}
"""

COMMAND = 'command: [python, train.py, --rate, "{rate}"]'
CONDITIONAL = "{a: {choices: [1, 2]}, rate: {low: 0.1, high: 0.4, when: {a: 1}}}"

FAULTS = {
    'command: [python, "{rtae}"]': "command[1]: {rtae} names no hyperparameter. Did you mean `rate`?",
    f"{COMMAND}\nfixed: {{b: 1}}": "study:3: fixed.b: does not reach the command: no argument holds it. "
    'Add "--b={b}" to `command`, or give it {params}',
    "command: []": "study:2: command: must be a list of arguments",
    "command: [python, {rate}]": "study:2: command: holds a mapping where an argument should be",
    "command: python 'train.py": "study:2: command: cannot be split into arguments: No closing quotation",
    f"{COMMAND}\ntask: a.py:train": "study:2: command: is also given by `task`, on line 3",
    "seed: 0": "task: is missing. Add task: file.py:Class, or command:",
    "task: a.py:train\nmetrics: {loss: 'a (b)'}": "study:3: metrics: belongs to a `command`",
    f"{COMMAND}\nmetrics: {{loss: 'a (b'}}": "study:3: metrics.loss: is no regular expression: missing ), un",
    f"{COMMAND}\nmetrics: {{loss: 'a b'}}": "study:3: metrics.loss: has no group: put parentheses around",
    f"{COMMAND}\nmetrics: {{lost: '(b)'}}": "objective.metric: no pattern in `metrics` finds `loss`. Did you",
    f"{COMMAND}\nmetrics: {{loss: '(b)'}}\npruner: {{name: median}}": "metrics.examples: is missing: "
    "the pruner compares trials after equally many examples",
    f"{COMMAND}\nmetrics: {{loss: '(b)'}}\ncounts_from: resume": "study:4: counts_from: says from where",
    'command: [python, "{rate}", --iters, "{left}"]': "command[3]: {left} needs the length of a trial. "
    "Add trial: {length: {examples: 1000}}",
    'command: [a, "{rate}", --from, "{resume}"]': "command[3]: --from would stand alone where {resume} "
    'has no value. Write them as one group: [--from, "{resume}"]',
    f"{COMMAND}\nfixed: {{rate.x: 1}}\nenvironment: {{A: '{{rate.x}}'}}": "study:3: fixed.rate.x: lies "
    "within `rate`, which is a value itself",
    f"{COMMAND}\ntrial: {{length: {{epochs: 2}}}}": "trial.length: the length of a command is in examples",
    "command:": "study:2: command: is empty. Write arguments: [python, train.py]",
    f"{COMMAND}\nenvironment: {{A=B: 1}}": "study:3: environment.A=B: 'A=B' is no name of a variable",
    f'{COMMAND}\nenvironment: {{A: "b\\0"}}': r"environment.A: holds a character that no variable can",
    'command: [a, "{rate}", "b\\0"]': r"command: holds a character that no argument can have, \0",
    f"{COMMAND}\nenvironment: {{A: [1]}}": "study:3: environment.A: must be one word or number, or null",
}


@pytest.mark.parametrize("text", FAULTS)
def test_invariant_10_a_command_that_does_not_fit_is_said_in_a_line(text: str) -> None:
    with pytest.raises(SpecError) as error:
        parse(STUDY.replace(COMMAND, text), "study")
    assert FAULTS[text] in str(error.value)
    assert len(error.value.problems) == 1 or text == "seed: 0"


def test_an_option_of_a_hyperparameter_that_may_not_apply(tmp_path: Path) -> None:
    text = STUDY.replace("{rate: {low: 0.01, high: 0.4, log: true}}", CONDITIONAL)
    text = text.replace("[python, train.py,", '[python, train.py, "--a={a}",')
    with pytest.raises(
        SpecError, match=r"command\[4\]: --rate would stand alone where \{rate\} has no value"
    ):
        parse(text, "study")
    parse(text.replace('--rate, "{rate}"', '[--rate, "{rate}"]'), "study")
    parse(text.replace('--rate, "{rate}"', '"--rate={rate}"'), "study")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[no-such-program]",
            "study.yaml:2: command[0]: the command no-such-program is not found. Install it",
        ),
        (
            "[./plain.sh]",
            "command[0]: {folder}/plain.sh is not executable. Type chmod +x {folder}/plain.sh, or",
        ),
        ("[bin/nothing]", "command[0]: there is no file {folder}/bin/nothing. Give its full path"),
        (
            "[python, trian.py]",
            "command[1]: there is no file {folder}/trian.py. Give its path from the study",
        ),
        ("[python]\nworking_directory: away", "working_directory: there is no folder {folder}/away. Make it"),
        ("no-such-program -x", "study.yaml:2: command: the command no-such-program is not found"),
    ],
)
def test_a_command_that_cannot_run_here(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "plain.sh").write_text("echo\n")
    spec = parse(STUDY.replace(COMMAND, f"command: {text}"), str(tmp_path / "study.yaml"))
    (problem,) = program.problems(spec)
    assert said.replace("{folder}", str(tmp_path)) in str(problem)
