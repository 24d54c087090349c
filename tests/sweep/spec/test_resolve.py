"""Study files, right and wrong."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.errors import SpecError
from sweep.spec.against_task import missing_files, validate_against
from sweep.spec.edited.differences import differences
from sweep.spec.parse import load, parse
from sweep.spec.resolve import resolve_length, resolved_text, with_budget_trials, with_fixed
from sweep.spec.schema import Choices, FloatRange, IntRange, StudySpec
from sweep.vocabulary.trial import Length
from tests.sweep.spec.minimal import DIGITS, MINIMAL, PLAIN, changed, only, problems_in, with_space

EXAMPLE = Path(__file__).parents[3] / "examples" / "digits" / "study.yaml"


def test_defaults_of_a_minimal_study() -> None:
    spec = parse(MINIMAL, "study.yaml")
    assert spec.seed == 0
    assert spec.sampler.name == "tpe"
    assert spec.pruner.name == "none"
    assert spec.budget.trials == 4
    assert spec.budget.time_s is None
    assert spec.trial.report_every.epochs == 1
    assert spec.trial.replicates == 1
    assert (spec.cluster, spec.executor.name, spec.lanes, spec.max_concurrent) == (
        "local",
        "ray",
        "auto",
        "auto",
    )
    checkpoints = spec.checkpoints
    assert (checkpoints.keep_best, checkpoints.max_bytes, checkpoints.every_s) == (3, 2_000_000_000, 60)


def test_the_kind_of_an_entry_follows_its_values() -> None:
    entries = "i: {low: 1, high: 8, step: 7}\nf: {low: 0, high: 0.5}\nc: {choices: [2, 1.5, a, true, null]}"
    space = parse(with_space(entries), "study.yaml").space
    assert space["i"] == IntRange(low=1, high=8, step=7)
    assert space["f"] == FloatRange(low=0.0, high=0.5)
    assert isinstance(space["c"], Choices)
    assert repr(space["c"].choices) == "(2, 1.5, 'a', True, None)"


def test_scalars_are_those_of_yaml_1_2() -> None:
    text = (
        MINIMAL + "fixed: {a: 1e-4, b: on, c: 1_000, d: 0o17, e: 2024-01-01, f: 010, g: True, h: ~, i: 1:30}"
    )
    fixed = parse(text, "study.yaml").fixed
    words = {"b": "on", "c": "1_000", "e": "2024-01-01", "i": "1:30"}
    assert fixed == {"a": 1e-4, "d": 15, "f": 10, "g": True, "h": None, **words}


def test_several_objectives_keep_their_order() -> None:
    two = "[{metric: a, direction: maximize}, {metric: b, direction: minimize}]"
    spec = parse(changed("{metric: validation_accuracy, direction: maximize}", two), "study.yaml")
    assert [(objective.metric, objective.direction) for objective in spec.objective] == [
        ("a", "maximize"),
        ("b", "minimize"),
    ]


def test_the_example_study_is_right() -> None:
    spec = load(EXAMPLE)
    assert spec.budget.trials == 32
    assert resolve_length(spec, 1437, with_fixed(spec, {})) == Length(28740, 1437)
    assert validate_against(spec, DIGITS) == []


# Each wrong study breaks one rule; (what is replaced, by what, key, line, words of the rule or remedy).
WRONG = [
    ("name: digits", "nmae: digits", "nmae", 1, "Did you mean `name`"),
    ("name: digits", "name: 3", "name", 1, "must be text"),
    ("name: digits", "name: ../digits", "name", 1, "folder name"),
    ("name: digits", "name: a/b", "name", 1, "folder name"),
    ("name: digits", "name: .hidden", "name", 1, "folder name"),
    ("name: digits", "name: ..", "name", 1, "folder name"),
    ("name: digits", f"name: {'n' * 101}", "name", 1, "at most 100"),
    ("name: digits", 'name: "a\\n"', "name", 1, "folder name"),
    ("name: digits", "name: [a]", "name", 1, "must be text"),
    ("task.py:Digits", "task.py", "task", 2, "file.py:Class"),
    ("task.py:Digits", "../task.py:Digits", "task", 2, "this one's folder"),
    ("task.py:Digits", "a/../../task.py:Digits", "task", 2, "this one's folder"),
    ("task.py:Digits", "/etc/task.py:Digits", "task", 2, "this one's folder"),
    ("metric: validation_accuracy, ", "", "objective.metric", 3, "is missing"),
    (", direction: maximize", "", "objective.direction", 3, "is missing"),
    ("maximize", "maximise", "objective.direction", 3, "Did you mean `maximize`"),
    ("metric: validation_accuracy", "metric: 1", "objective.metric", 3, "must be text"),
    ("low: 1e-4", "low: 1e-1", "space.learning_rate.low", 5, "low and high are both 0.1"),
    ("low: 1e-4", "low: 1", "space.learning_rate.low", 5, "Exchange them"),
    ("low: 1e-4", "low: abc", "space.learning_rate.low", 5, "must be a number"),
    ("low: 1e-4", "low: true", "space.learning_rate.low", 5, "must be a number"),
    ("low: 1e-4", "low: -.inf", "space.learning_rate.low", 5, "must be a finite number"),
    ("low: 1e-4, ", "", "space.learning_rate.low", 5, "is missing"),
    ("log: true", "logg: true", "space.learning_rate.logg", 5, "Did you mean `log`"),
    ("log: true", "log: yes", "space.learning_rate.log", 5, "true or false"),
    ("log: true", "log: true, step: 0.1", "space.learning_rate.step", 5, "does not divide the range"),
    ("{low: 1e-4, high: 1e-1, log: true}", "0.1", "space.learning_rate", 5, "`fixed`"),
    ("{low: 1e-4, high: 1e-1, log: true}", "[0.1, 0.2]", "space.learning_rate", 5, "Write {choices"),
    ("high: 1e-1", "high: 1e-1, choices: [1]", "space.learning_rate", 5, "Keep one"),
    (
        "{low: 1e-4, high: 1e-1, log: true}",
        "{choices: [1, -1]}",
        "space.learning_rate.choices[1]",
        5,
        "above 0",
    ),
    ("micro_batch_size: 32", "micro_batch_size: 0", "trial.micro_batch_size", 7, "at least 1"),
    ("micro_batch_size: 32", "replicates: 2", "trial.micro_batch_size", 6, "is missing"),
    ("{epochs: 20}", "{epochs: 20, updates: 3}", "trial.length", 8, "exactly one of"),
    ("{epochs: 20}", "{}", "trial.length", 8, "exactly one of"),
    ("{epochs: 20}", "{epochs: -1}", "trial.length.epochs", 8, "above 0"),
    ("{epochs: 20}", "{epoch: 1}", "trial.length.epoch", 8, "Did you mean `epochs`"),
    ("{epochs: 20}", "{examples: 1.5}", "trial.length.examples", 8, "must be an integer"),
    ("{epochs: 20}", "20", "trial.length", 8, "must be a mapping"),
    ("{epochs: 20}", "{epochs: 0.5}", "trial.report_every", 6, "longer than the trial"),
    ("{epochs: 20}", "{epochs: 20}\n  timeout: 10", "trial.timeout", 9, "duration"),
    ("{epochs: 20}", "{epochs: 20}\n  timeout: -5s", "trial.timeout", 9, "duration"),
    ("budget: {trials: 4}", "budget: {}", "budget", 9, "`trials`, `time` or both"),
    ("trials: 4", "trials: -4", "budget.trials", 9, "at least 1"),
    ("trials: 4", "trials: true", "budget.trials", 9, "must be an integer"),
    ("trials: 4", "time: 10 minutes", "budget.time", 9, "1h30m"),
]


@pytest.mark.parametrize(("old", "new", "key", "line", "words"), WRONG)
def test_a_wrong_study_file_is_named_with_key_line_and_rule(
    old: str, new: str, key: str, line: int, words: str
) -> None:
    problems = problems_in(changed(old, new))
    problem = next(problem for problem in problems if problem.key == key)
    assert (problem.file, problem.line) == ("study.yaml", line)
    assert words in str(problem)
    assert [other.key for other in problems if other != problem] in ([], ["name"])


ENTRIES = [
    ("a: {choices: []}", "space.a.choices", "at least one"),
    ("a: {choices: 3}", "space.a.choices", "must be a list"),
    ("a: {choices: [1, 2, 1.0]}", "space.a.choices[2]", "1.0 is listed twice"),
    ("a: {choices: [.nan]}", "space.a.choices[0]", "finite"),
    ("a: {choices: [[1]]}", "space.a.choices[0]", "one finite number"),
    ("a: {low: 0, high: 8, log: true}", "space.a.low", "must be above 0"),
    ("a: {low: 1, high: 10, step: 4}", "space.a.step", "Write high: 9"),
    ("a: {low: 0.0, high: 1.0, step: 0.3}", "space.a.step", "Write high: 0.9"),
    ("a: {low: 0, high: 1, step: 5}", "space.a.step", "Choose a smaller step"),
    ("a: {low: 0, high: 1, step: 0.5}", "space.a.step", "must be an integer"),
    ("a: {low: 0.0, high: 1e300, step: 7e-300}", "space.a.step", "does not divide"),
    ("a: {low: 0, high: 1, when: {b: 1}}", "space.a.when.b", "`space` has no b"),
    ("a: {low: 0, high: 1, when: {learning_rat: 1}}", "space.a.when.learning_rat", "`learning_rate`"),
    (
        "a: {low: 0, high: 1, when: {learning_rate: 7}}",
        "space.a.when.learning_rate",
        "can never have this value",
    ),
    ("a: {low: 0, high: 1, when: {learning_rate: {lw: 1}}}", "space.a.when.learning_rate", "{low: number"),
    ("a: {low: 0, high: 1, when: {a: 1}}", "space.a.when", "a -> a"),
    ("class: {low: 0, high: 1}", "space.class", "hp.name"),
    ("a-b: {low: 0, high: 1}", "space.a-b", "hp.name"),
    ("_a: {low: 0, high: 1}", "space._a", "hp.name"),
    ("betas: {low: 0, high: 1}", "space.betas", "two numbers in [0, 1)"),
    ('betas: {choices: ["0.9, 0.99", "0.9"]}', "space.betas.choices[1]", "two numbers in [0, 1)"),
    ("betas: {choices: [[0.9, 0.99], [0.9, 1.0]]}", "space.betas.choices[1]", "two numbers in [0, 1)"),
    ("decay_factors: {choices: [{'*.bias': -1}]}", "space.decay_factors.choices[0]", "patterns with factors"),
    ("decay_factors: {choices: ['*.bias']}", "space.decay_factors.choices[0]", "patterns with factors"),
    ("rate_factors: {low: 0, high: 1}", "space.rate_factors", "patterns with factors"),
    ("a: {choices: [[0.9, 0.99]]}", "space.a.choices[0]", "one finite number"),
    ("a: {low: 0, high: 9007199254740993}", "space.a.high", "at most 9007199254740992"),
    ("a: {low: -1.0e308, high: 1.0e308}", "space.a.high", "too far from low"),
    ("precision: {choices: [float32, flaot16]}", "space.precision.choices[1]", "Did you mean `float16`"),
    ("precision: {low: 1, high: 2}", "space.precision", "Write {choices"),
    ("optimizer: {choices: [adam, Adam]}", "space.optimizer.choices[1]", "Did you mean `adam`"),
    ("schedule: {choices: [warm]}", "space.schedule.choices[0]", "constant, linear, cosine"),
    ("accumulation_steps: {choices: [1, 2.0]}", "space.accumulation_steps.choices[1]", "from 1 to 16777216"),
    (
        "accumulation_steps: {low: 0, high: 4}",
        "space.accumulation_steps.low",
        "an integer from 1 to 16777216",
    ),
    ("dropout: {low: 0.0, high: 1.0}", "space.dropout.high", "[0, 1)"),
    ("momentum: {low: -0.5, high: 0.9}", "space.momentum.low", "[0, 1)"),
    ("weight_decay: {low: -1.0, high: 1.0}", "space.weight_decay.low", "at least 0"),
    ("gradient_clip: {choices: [null, 0]}", "space.gradient_clip.choices[1]", "null for none"),
    (
        "micro_batch_size: {choices: [32, 64]}",
        "trial.micro_batch_size",
        "is given in trial.micro_batch_size and",
    ),
]


@pytest.mark.parametrize(("entry", "key", "words"), ENTRIES)
def test_a_wrong_entry_of_the_space_is_named_with_key_line_and_rule(entry: str, key: str, words: str) -> None:
    problem = only(problems_in(with_space(entry)))
    assert problem.key == key
    assert problem.line == (7 + 1 if key.startswith("trial") else 6)
    assert words in str(problem)


SECTIONS = [
    ("fixed", "{learning_rate: 0.1}", "fixed.learning_rate", "is also in `space`"),
    ("fixed", "{a: [1, 2]}", "fixed.a", "one finite number"),
    ("fixed", "{dropout: 1}", "fixed.dropout", "[0, 1)"),
    ("fixed", "{warmup_fraction: 1.5}", "fixed.warmup_fraction", "[0, 1]"),
    ("fixed", "{precision: 32}", "fixed.precision", "bfloat16"),
    ("sampler", "{name: tp}", "sampler.name", "Did you mean `tpe`"),
    ("sampler", "{name: grid}", "space.learning_rate", "cannot list"),
    ("pruner", "{name: hyperbnd}", "pruner.name", "Did you mean `hyperband`"),
    ("pruner", "{metric: accuracy}", "pruner.metric", "Did you mean `validation_accuracy`"),
    ("enqueue", "[{learning_rate: 1}]", "enqueue[0].learning_rate", "must be within space.learning_rate"),
    ("enqueue", "[{lerning_rate: 0.1}]", "enqueue[0].lerning_rate", "Did you mean `learning_rate`"),
    ("enqueue", "{learning_rate: 0.1}", "enqueue", "must be a list"),
    ("executor", "slurm job", "executor", "must be the name of an executor"),
    ("lanes", "0", "lanes", "at least 1, or auto"),
    ("lanes", "many", "lanes", "at least 1, or auto"),
    ("max_concurrent", "1.5", "max_concurrent", "at least 1, or auto"),
    ("seed", "-1", "seed", "at least 0"),
    ("seed", "18446744073709551616", "seed", "below 18446744073709551616"),
    ("seed", '"0"', "seed", "must be an integer"),
    ("cluster", '""', "cluster", "must not be empty"),
    ("checkpoints", "{max_bytes: 2}", "checkpoints.max_bytes", "2 GB"),
    ("checkpoints", "{max_bytes: -2 GB}", "checkpoints.max_bytes", "above zero"),
    ("checkpoints", "{every: 60}", "checkpoints.every", "duration"),
    ("checkpoints", "{keep_best: -1}", "checkpoints.keep_best", "at least 0"),
    ("constraint", "{}", "constraint", "Did you mean `constraints`"),
    ("constraints", "{peak_memory_bytes: {}}", "constraints.peak_memory_bytes", "min, max or both"),
    (
        "constraints",
        "{peak_memory_bytes: {mx: 1}}",
        "constraints.peak_memory_bytes.mx",
        "unknown key",
    ),
    ("constraints", "{train_s: {max: soon}}", "constraints.train_s.max", "a size such as 8 GB"),
    ("constraints", "{train_s: {min: 2m, max: 1m}}", "constraints.train_s", "min 120 is above max 60"),
    ("stop", "{targt: 0.9}", "stop.targt", "Did you mean `target`"),
    ("stop", "{patience: 0}", "stop.patience", "at least 1"),
    ("require", "{tags: [fast]}", "require", "applies to clusters only"),
    ("require", "{tag: [fast]}", "require.tag", "Did you mean `tags`"),
    ("require", "{min_memory: 32}", "require.min_memory", "must be a size"),
    (
        "stop",
        "{terminator: {name: stagnation}}",
        "stop.terminator.name",
        "Did you mean `best_value_stagnation`",
    ),
]


@pytest.mark.parametrize(("section", "value", "key", "words"), SECTIONS)
def test_a_wrong_section_is_named_with_key_line_and_rule(
    section: str, value: str, key: str, words: str
) -> None:
    problem = only(problems_in(MINIMAL + f"{section}: {value}\n"))
    assert problem.key == key
    assert problem.line == (5 if key.startswith("space") else 10)
    assert words in str(problem)


def test_every_problem_is_found_in_the_order_of_the_file() -> None:
    text = (
        changed("name: digits", "name: a/b").replace("trials: 4", "trials: 0").replace("low: 1e-4", "low: -1")
    )
    keys = [problem.key for problem in problems_in(text + "fixed: {x: [1], learning_rate: 1}\nwhat: 1\n")]
    assert keys == [
        "name",
        "space.learning_rate.low",  # log
        "space.learning_rate.low",  # learning_rate > 0
        "budget.trials",
        "fixed.x",
        "fixed.learning_rate",
        "what",
    ]


def test_conditions_in_a_circle_are_named() -> None:
    entries = "\n".join(
        f"{name}: {{choices: [1], when: {{{parent}: 1}}}}" for name, parent in ("ab", "bc", "ca")
    )
    problem = only(problems_in(with_space(entries)))
    assert problem.what.removeprefix("waits for itself: ") in (
        "a -> b -> c -> a",
        "b -> c -> a -> b",
        "c -> a -> b -> c",
    )
    assert (problem.key, problem.line) in [("space.a.when", 6), ("space.b.when", 7), ("space.c.when", 8)]


def test_a_condition_on_a_fixed_value_must_hold() -> None:
    text = with_space("momentum: {low: 0.1, high: 0.9, when: {optimizer: sgd}}", fixed="{optimizer: adamw}")
    assert only(problems_in(text)).key == "space.momentum.when.optimizer"
    parse(text.replace("adamw", "sgd"), "study.yaml")


def test_an_enqueued_point_keeps_to_the_conditions() -> None:
    entries = "optimizer: {choices: [sgd, adam]}\nmomentum: {low: 0.1, high: 0.9, when: {optimizer: sgd}}"
    text = with_space(entries, enqueue="[{momentum: 0.5}, {optimizer: adam, momentum: 0.5}]")
    problem = only(problems_in(text))
    assert (problem.key, problem.line) == ("enqueue[1].momentum", 12)


def test_reports_in_updates_must_fall_on_the_same_examples_for_all() -> None:
    text = with_space("accumulation_steps: {choices: [1, 2]}")
    text = text.replace("{epochs: 20}", "{epochs: 20}\n  report_every: {updates: 5}")
    problem = only(problems_in(text))
    assert (problem.key, problem.line) == ("trial.report_every", 10)


def test_pruning_with_several_objectives_needs_a_metric() -> None:
    two = "[{metric: a, direction: maximize}, {metric: b, direction: minimize}]"
    text = changed("{metric: validation_accuracy, direction: maximize}", two)
    problem = only(problems_in(text + "pruner: {name: hyperband}\n"))
    assert (problem.key, problem.line, problem.remedy) == ("pruner.metric", 10, "add metric: a, or another")
    parse(text + "pruner: {name: hyperband, metric: b}\n", "study.yaml")


def test_two_objectives_need_two_metrics() -> None:
    two = "\n  - {metric: a, direction: maximize}\n  - {metric: a, direction: minimize}"
    problem = only(problems_in(changed("{metric: validation_accuracy, direction: maximize}", two)))
    assert (problem.key, problem.line) == ("objective[1].metric", 5)


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SpecError, match="cannot be read: ") as caught:
            load(path)
        assert str(path) in str(caught.value)


def test_betas_are_two_numbers_in_a_list_or_text() -> None:
    entries = 'betas: {choices: [[0.9, 0.999], [0.9, 0.98], "0.8, 0.9"]}'
    spec = parse(with_space(entries) + "enqueue: [{betas: [0.9, 0.98]}]\n", "study.yaml")
    entry = spec.space["betas"]
    assert isinstance(entry, Choices)
    assert entry.choices == ("0.9, 0.999", "0.9, 0.98", "0.8, 0.9")
    assert spec.enqueue == ({"betas": "0.9, 0.98"},)
    assert parse(MINIMAL + "fixed: {betas: [0.9, 1.0e-5]}\n", "study.yaml").fixed == {"betas": "0.9, 1e-05"}


def test_factors_are_a_mapping_or_text() -> None:
    entries = "decay_factors: {choices: [{'*.bias': 0, '*norm*': less}, '*.bias: 0', null]}"
    entry = parse(with_space(entries), "study.yaml").space["decay_factors"]
    assert isinstance(entry, Choices)
    assert entry.choices == ("*.bias: 0, *norm*: less", "*.bias: 0", None)
    fixed = parse(MINIMAL + "fixed: {rate_factors: {'out.*': 0.5}}\n", "study.yaml").fixed
    assert fixed == {"rate_factors": "out.*: 0.5"}


@pytest.mark.parametrize(
    ("entry", "value", "near"),
    [
        ("{low: 0.0, high: 0.3, step: 0.1}", "0.25", "Write 0.2 or 0.3"),
        ("{low: 0.0, high: 0.3, step: 0.1}", "0.30000000000000004", "must be within space.a"),
        ("{low: 1, high: 9, step: 4}", "6", "Write 5 or 9"),
    ],
)
def test_an_enqueued_value_off_its_step_is_refused(entry: str, value: str, near: str) -> None:
    text = with_space(f"a: {entry}") + f"enqueue: [{{a: {value}}}]\n"
    problem = only(problems_in(text))
    assert problem.key == "enqueue[0].a"
    assert near in str(problem)


def test_an_enqueued_value_on_its_step_is_accepted() -> None:
    parse(with_space("a: {low: 0.0, high: 0.3, step: 0.1}") + "enqueue: [{a: 0.3}, {a: 0.1}]\n", "study.yaml")


def test_what_the_task_does_not_report_is_named_with_its_line() -> None:
    spec = parse(changed("validation_accuracy", "validation_acuracy"), "study.yaml")
    problem = only(validate_against(spec, PLAIN))
    assert (problem.key, problem.line) == ("objective.metric", 3)
    assert "Did you mean `validation_accuracy`" in str(problem)


def test_words_that_are_not_static_are_named() -> None:
    entries = "hidden: {choices: [64]}\nactivation: {choices: [1, relu]}\ngradient_clip: {choices: [null, 1]}"
    spec = parse(
        with_space(entries, fixed='{schedule: cosine, betas: "0.9, 0.99", flavour: x}'), "study.yaml"
    )
    problems = validate_against(spec, replace(DIGITS, dynamic=("activation", "flavour")))
    assert [(problem.key, problem.line) for problem in problems] == [
        ("space.activation.choices[1]", 7),
        ("fixed.flavour", 13),
    ]
    assert 'static = ("activation",)' in str(problems[0])


def test_a_static_hyperparameter_must_be_given() -> None:
    problem = only(validate_against(parse(MINIMAL, "study.yaml"), DIGITS))
    assert problem.key == "fixed.hidden"
    assert "`space` or `fixed`" in str(problem)


def test_a_hyperparameter_that_nothing_reads_is_named() -> None:
    entries = "drop_out: {low: 0.0, high: 0.5}\nextra: {low: 0, high: 1, when: {drop_out: {low: 0.1}}}"
    spec = parse(with_space(entries, fixed="{widht: 3}"), "study.yaml")
    problems = validate_against(spec, replace(PLAIN, dynamic=("dropout", "width")))
    assert [(problem.key, problem.line) for problem in problems] == [
        ("space.drop_out", 6),
        ("fixed.widht", 12),
    ]
    assert [problem.remedy for problem in problems] == ["did you mean `dropout`?", "did you mean `width`?"]


def test_a_trial_too_short_to_report_is_named() -> None:
    text = with_space("accumulation_steps: {choices: [4, 1]}").replace("{epochs: 20}", "{updates: 30}")
    spec = parse(text, "study.yaml")
    problem = only(validate_against(spec, PLAIN))
    assert problem.key == "trial.report_every"
    assert problem.what == "is longer than the trial: 1437 of 960 examples"


@pytest.mark.parametrize(
    ("length", "report_every", "steps", "expected"),
    [
        ("{epochs: 2}", "{epochs: 0.5}", 1, Length(2000, 500)),
        ("{epochs: 0.0015}", "{examples: 1}", 1, Length(2, 1)),
        ("{examples: 70}", "{examples: 30}", 1, Length(70, 30)),
        ("{updates: 10}", "{examples: 64}", 1, Length(320, 64)),
        ("{updates: 10}", "{examples: 64}", 4, Length(1280, 64)),
        ("{updates: 10}", "{updates: 2}", 1, Length(320, 64)),
    ],
)
def test_length_in_examples(length: str, report_every: str, steps: int, expected: Length) -> None:
    text = changed("{epochs: 20}", f"{length}\n  report_every: {report_every}")
    spec = parse(text, "study.yaml")
    assert resolve_length(spec, 1000, with_fixed(spec, {"accumulation_steps": steps})) == expected


def test_hyperparameters_are_fixed_suggested_and_the_micro_batch() -> None:
    spec = parse(MINIMAL + "fixed: {hidden: 64}\n", "study.yaml")
    expected = {"hidden": 64, "learning_rate": 0.1, "micro_batch_size": 32}
    assert with_fixed(spec, {"learning_rate": 0.1}) == expected


def test_files_named_and_not_there_are_problems(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(MINIMAL + "cluster: lab.yaml\n")
    problems = missing_files(load(path))
    assert [(problem.key, problem.line) for problem in problems] == [("task", 2), ("cluster", 10)]
    (tmp_path / "task.py").touch()
    assert only(missing_files(load(path))).key == "cluster"


def test_a_study_that_goes_on_may_change_its_budget_but_not_its_sampler() -> None:
    old = parse(MINIMAL, "study.yaml")
    free = (
        MINIMAL.replace("trials: 4", "trials: 8, time: 1h")
        + "lanes: 4\nmax_concurrent: 2\nexecutor: inline\n"
    )
    free += "cluster: lab.yaml\ncheckpoints: {keep_best: 1}\n"
    assert differences(old, parse(free, "other.yaml")) == []
    other = changed("high: 1e-1", "high: 1.0") + "seed: 1\nfixed: {b: true}\nsampler: {name: random}\n"
    found = differences(old, parse(other, "study.yaml"))  # edits of the space are judged apart
    assert {difference.key: (difference.old, difference.new) for difference in found} == {
        "seed": ("0", "1"),
        "sampler.name": ("`tpe`", "`random`"),
    }


def test_numbers_equal_to_python_but_of_another_kind_are_differences() -> None:
    old, new = (parse(MINIMAL + f"fixed: {{a: {value}}}\n", "study.yaml") for value in ("1", "true"))
    assert [difference.key for difference in differences(old, new, ("fixed",))] == ["fixed.a"]


def test_another_budget() -> None:
    spec = with_budget_trials(parse(MINIMAL, "study.yaml"), 9)
    assert spec.budget.trials == 9
    assert spec.document.line(("budget",)) == 9


def test_a_spec_travels_between_processes() -> None:
    spec = parse(MINIMAL, "study.yaml")
    copy: StudySpec = pickle.loads(pickle.dumps(spec))
    assert copy == spec
    assert copy.document.line(("space", "learning_rate")) == 5


def test_resolved_text_writes_every_default() -> None:
    text = resolved_text(parse(MINIMAL, "study.yaml"))
    for words in (
        "seed: 0",
        "sampler: {name: tpe, repeat: false}",
        "checkpoints: {keep_best: 3, keep_best_report: false, max_bytes: 2 GB, every: 1m}",
    ):
        assert words in text
