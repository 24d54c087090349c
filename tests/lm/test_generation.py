"""Metrics of generation: what is asked, what comes back in lanes and alone, and functions that are wrong."""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

from mlx_lm import batch_generate, generate, load

from lm import base, examples, settings
from lm.generating import harness, prompts, scores, texts
from lm.generating.prompts import Prompt
from sweep.worker.describe_task import answer
from tests.lm.tasks import SETTING, task_of
from tests.train_core.conftest import EXACT, against_alone, finish
from train_core import Length, Population, Program, TaskError, final, keys, split_for
from train_core.inference import weight_tree

pytestmark = pytest.mark.usefixtures("uncompiled")
LENGTH = Length(examples=4, report_every=2)
SCORES = """\
import zlib


def digest(prompt, text, reference):
    return zlib.crc32(text.encode())


def parts(prompt, text, reference):
    return {"asks": "do?" in prompt, "answers": len(reference) >= 20}
"""
GENERATING: dict[str, Any] = {
    **SETTING,
    "generation_metrics": "exact_match, score.py:digest, score.py:parts",
    "generation_examples": 3,
    "max_tokens": 6,
    "learning_rate": 0.03,
    "scale": 20.0,
}


@pytest.fixture
def scored(own: Path) -> Path:
    (own / "score.py").write_text(SCORES)
    return own


def features(**changed: str) -> tuple[tuple[str, str], ...]:
    named = {
        "chat_feature": "messages",
        "completion_feature": "completion",
        "prompt_feature": "prompt",
        "text_feature": "text",
    }
    return tuple((named | changed).items())


def asked(folder: Path, most: int | None = None) -> tuple[Prompt, ...]:
    return prompts.of_part(folder / "data", "valid", folder / "base", features(), most)


@pytest.mark.slow
def test_lanes_generate_what_runs_alone_and_the_exported_adapter_do(scored: Path) -> None:
    task = task_of(scored)
    lanes = [{**GENERATING, "rank": 8}, {**GENERATING, "rank": 2, "learning_rate": 0.01}]
    ends = against_alone(task, *lanes, length=LENGTH)
    program = Program(task, split_for(task, GENERATING)[0])
    said = []
    for lane, setting in enumerate(lanes):
        population = Population(program, 1)
        population.load(0, key=keys.key(lane), hyperparameters=setting, length=LENGTH)
        metrics = finish(population, 0)[-1].metrics
        assert (metrics["validation_asks"], metrics["validation_answers"]) == (1, 1)
        assert 0 <= metrics["validation_exact_match"] <= 1
        out = scored / f"adapters{lane}"
        task.export(weight_tree(ends[lane]), setting, out)
        model, tokenizer, *_ = load(str(scored / "base"), adapter_path=str(out))
        tokens = [list(prompt.tokens) for prompt in asked(scored, 3)]
        answers = batch_generate(model, tokenizer, tokens, max_tokens=6).texts
        if EXACT:
            digests = [zlib.crc32(text.encode()) for text in answers]
            assert metrics["validation_digest"] == sum(digests) / 3
        said.append(tuple(answers))
    assert said[0] != said[1]


@pytest.mark.slow
def test_layers_that_are_checkpointed_and_a_model_in_full_generate(scored: Path) -> None:
    task, ends = task_of(scored), []
    for more in ({}, {"grad_checkpoint": True}, {"fine_tune_type": "full"}):
        setting = {**GENERATING, **more}
        population = Population(Program(task, split_for(task, setting)[0]), 1)
        population.load(0, key=keys.key(0), hyperparameters=setting, length=Length(2, 2))
        ends.append(finish(population, 0)[-1])
    assert [end.error for end in ends] == [None] * 3
    assert ends[0].metrics["validation_digest"] == ends[1].metrics["validation_digest"] or not EXACT


def test_what_is_asked_is_what_mlx_lm_masks(example: Path) -> None:
    tokenizer = base.tokenizer(example / "base")
    masked = {**dict(features()), "mask_prompt": True}
    dataset = examples.part(example / "data", "valid", tokenizer, masked)
    found = asked(example)
    assert len(found) == len(dataset)
    for prompt in found:
        row = dataset[prompt.line - 1]
        tokens, offset = dataset.process(row)
        assert list(prompt.tokens) == tokens[:offset]
        assert (prompt.asked, prompt.reference) == tuple(each["content"] for each in row["messages"])


def test_completions_and_chats_of_several_turns_and_parts_are_asked(own: Path) -> None:
    valid = own / "data" / "valid.jsonl"
    rows = [{"prompt": "What?", "completion": " That."}, {"prompt": "How many?", "completion": 3}]
    valid.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (found,) = asked(own)
    assert (found.line, found.asked, found.reference) == (1, "What?", " That.")
    user, said = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}
    chats = [[user], [user, said, user, said], [user, {"role": "assistant", "content": None}], [said]]
    (own / "chats").mkdir()
    (own / "chats" / "valid.jsonl").write_text(
        "".join(json.dumps({"messages": messages}) + "\n" for messages in chats)
    )
    several = prompts.of_part(own / "chats", "valid", own / "base", features(), None)
    assert [(prompt.line, prompt.asked, prompt.reference) for prompt in several] == [(2, "Hi", "Ho")]


def test_one_prompt_after_the_other_where_a_model_s_cache_has_no_batches(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = base.model(example / "base"), base.tokenizer(example / "base")
    tokens = [prompt.tokens for prompt in asked(example, 2)]
    wanted = [generate(model, tokenizer, list(each), max_tokens=4) for each in tokens]
    monkeypatch.setattr(texts, "make_prompt_cache", lambda _: [object()])
    assert texts.generated(model, tokenizer, tokens, max_tokens=4) == wanted
    monkeypatch.setattr(texts, "generate", lambda *_, **__: [][0])
    with pytest.raises(TaskError, match="mlx-lm cannot generate with this model: IndexError: list index"):
        texts.generated(model, tokenizer, tokens, max_tokens=4)


PROMPTS = (Prompt(1, (0,), "1 + 1", "2"), Prompt(3, (0,), "2 + 2", "4"))


def test_an_exact_match_leaves_space_around_it_out() -> None:
    def share(*texts: str) -> float:
        return scores.mean_scores("exact_match", Path(), Path("v"), PROMPTS, texts)["exact_match"]

    assert [share("2", " 4\n"), share("2", "44"), share("", "")] == [1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "def f(prompt, text, reference):\n    return 1 / 0\n",
            r"score\.py:2: in f, of the text for v:1: Zero",
        ),
        ("def f(prompt, text):\n    return 1\n", r"is called as f\(prompt, text, reference\): too many"),
        (
            "def f(prompt, text, reference):\n    return 'good'\n",
            r"f must return a finite number, or a dict of these by name",
        ),
        (
            "def f(p, text, reference):\n    return {}\n",
            r"f must return a finite number.*, got \{\} of the text for v:1",
        ),
        (
            "def f(p, t, reference):\n    return float('nan')\n",
            r"f must return a finite.*, got nan of the text",
        ),
        ("def f(p, t, reference):\n    return 10**400\n", r"f must return a finite number"),
        ("def f(p, t, reference):\n    return {'': 1}\n", r"by name, got \{'': 1\} of the text for v:1"),
        (
            "def f(p, t, reference):\n    raise SystemExit(3)\n",
            r"score\.py:2: in f, of the text for v:1: SystemExit: 3",
        ),
        (
            "def f(p, t, reference):\n    return {reference: 1}\n",
            r"of v:3 it returned 4, of others 2\. Return",
        ),
        ("def g(prompt, text, reference):\n    return 1\n", r"score\.py has no function f"),
        ("def f(:\n", r"score\.py:1: score\.py does not import: SyntaxError"),
        (None, r"generation_metrics: score\.py:f: there is no file"),
    ],
)
def test_a_function_that_is_wrong_is_a_line(source: str | None, said: str, tmp_path: Path) -> None:
    if source is not None:
        (tmp_path / "score.py").write_text(source)
    with pytest.raises(TaskError, match=said):
        scores.mean_scores("score.py:f", tmp_path, Path("v"), PROMPTS, ("2", "4"))


def test_a_function_may_return_numbers_of_numpy_and_mlx(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(
        "import mlx.core as mx\nimport numpy as np\n\n\n"
        "def f(prompt, text, reference):\n"
        "    return {'a': np.float32(0.5), 'b': mx.array(1.5), 'c': np.bool_(True), 'd': text == reference}\n"
    )
    found = scores.mean_scores("score.py:f", tmp_path, Path("v"), PROMPTS, ("2", "5"))
    assert found == {"a": 0.5, "b": 1.5, "c": 1.0, "d": 0.5}


def described(folder: Path, **changes: Any) -> dict[str, Any]:
    request = {
        "folder": str(folder),
        "target": "lm:FineTune",
        "hyperparameters": {**GENERATING, **changes},
        "trainable": "task",
        "purity": False,
    }
    return answer(request)


@pytest.mark.slow
def test_check_names_the_metrics_and_a_function_that_fails_before_anything_trains(scored: Path) -> None:
    found = described(scored)
    wanted = {f"validation_{name}" for name in ("exact_match", "digest", "asks", "answers", "perplexity")}
    assert wanted <= {*found["metrics"]}
    assert "score.py" in found["reads"]
    (scored / "worse.py").write_text("def bad(prompt, text, reference):\n    return reference['answer']\n")
    found = described(scored, generation_metrics="worse.py:bad")
    assert "worse.py:2: in bad, of the text for" in found["problem"]
    assert "valid.jsonl:" in found["problem"]
    found = described(scored, generation_metrics="score.py:parts, score.py:parts")
    assert "score.py:parts and another both report answers; rename one" in found["problem"]


@pytest.mark.slow
def test_samples_and_a_test_part_are_those_of_the_exported_adapter(own: Path) -> None:
    config = own / "lora_config.yaml"
    text = config.read_text()
    asked = ["Who are you?", "What does os.path.join do?"]
    start, end = text.index("samples:"), text.index("lora_parameters:")
    config.write_text(f"{text[:start]}samples: {{prompts: {json.dumps(asked)}, max_tokens: 5}}\n{text[end:]}")
    task, setting = task_of(own), {**GENERATING, "generation_metrics": "exact_match", "test_batches": 1}
    (own / "data" / "test.jsonl").write_text((own / "data" / "valid.jsonl").read_text())
    population = Population(Program(task, split_for(task, setting)[0]), 1)
    population.load(0, key=keys.key(0), hyperparameters=setting, length=Length(4, 4))
    last, snapshot = finish(population, 0)[-1], population.snapshot(0)
    found = final(task, setting, snapshot)
    validated = {name: value for name, value in last.metrics.items() if name.startswith("validation_")}
    assert found.metrics == {name.replace("validation", "test"): value for name, value in validated.items()}
    task.export(weight_tree(snapshot), setting, own / "out")
    model, tokenizer, *_ = load(str(own / "base"), adapter_path=str(own / "out"))
    tokens = [
        tokenizer.apply_chat_template([{"role": "user", "content": each}], add_generation_prompt=True)
        for each in asked
    ]
    answers = batch_generate(model, tokenizer, tokens, max_tokens=5).texts
    assert found.samples == tuple(zip(asked, answers, strict=True)) or not EXACT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("samples: 3\n", r"c\.yaml:3: samples: not keys with values, such as"),
        ("samples: {max_tokens: 3}\n", r"c\.yaml:3: samples: not keys with values"),
        ("samples: {prompts: [], tokens: 3}\n", r"c\.yaml:3: samples\.tokens: is not known"),
        ("samples: {prompts: Who?}\n", r"c\.yaml:3: samples\.prompts: not a list of texts"),
        ("samples: {prompts: [1]}\n", r"samples\.prompts: not a list of texts"),
        (
            "samples: {prompts: [a], max_tokens: 0}\n",
            r"samples\.max_tokens: must be an integer of at least 1",
        ),
        ("test_batches: 0\n", r"c\.yaml:3: test_batches: must be an integer of at least 1, or -1 for all"),
    ],
)
def test_samples_that_are_wrong_are_a_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("model: m\ndata: d\n" + text)
    with pytest.raises(TaskError, match=said):
        settings.filled({"config": "c.yaml"}, tmp_path)


def test_texts_have_no_answer_to_compare_with(own: Path) -> None:
    data = own / "data"
    (data / "valid.jsonl").write_text('{"text": "a b c"}\n')
    with pytest.raises(TaskError, match=r"valid\.jsonl: holds texts, which have no answer"):
        asked(own)
    (data / "valid.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}]}\n')
    prompts.of_part.cache_clear()
    with pytest.raises(TaskError, match=r"valid\.jsonl: no example ends with an answer in words"):
        asked(own)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "generation_metrics: bleu\n",
            r"c\.yaml:3: generation_metrics: must be exact_match, file\.py:function",
        ),
        ("generation_metrics: [exact_match, 3]\n", r"c\.yaml:3: generation_metrics: must be exact_match"),
        ("generation_metrics: []\n", r"c\.yaml:3: generation_metrics: must be exact_match"),
        ("generation_metrics: 'score.py:'\n", r"generation_metrics: must be exact_match"),
        ("generation_metrics: 'lm_eval:'\n", r"generation_metrics: must be exact_match"),
        (
            "generation_examples: 0\n",
            r"c\.yaml:3: generation_examples: must be an integer of at least 1, or -1",
        ),
        ("max_tokens: 0\n", r"c\.yaml:3: max_tokens: must be an integer of at least 1, got 0"),
    ],
)
def test_a_key_of_generation_that_is_wrong_is_a_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("model: m\ndata: d\n" + text)
    with pytest.raises(TaskError, match=said):
        settings.filled({"config": "c.yaml"}, tmp_path)


def test_metrics_may_be_a_list_in_the_file_and_words_in_the_study(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("model: m\ndata: d\ngeneration_metrics: [exact_match, 'a.py:f']\n")
    assert settings.filled({"config": "c.yaml"}, tmp_path)["generation_metrics"] == "exact_match, a.py:f"
    assert settings.named_files({"config": "c.yaml"}, tmp_path)["generation_metrics"] == "exact_match, a.py:f"
    given = {"config": "c.yaml", "generation_metrics": "lm_eval:arc_easy"}
    assert settings.filled(given, tmp_path)["generation_metrics"] == "lm_eval:arc_easy"
    named = "exact_match, a.py:f, lm_eval:arc_easy, lm_eval:mine.yaml"
    assert list(scores.files(named)) == ["a.py", "mine.yaml"]


def test_without_the_harness_its_package_is_named(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    model, tokenizer = base.model(example / "base"), base.tokenizer(example / "base")
    with pytest.raises(
        TaskError, match=r"lm_eval:arc_easy: needs lm-evaluation-harness, which is not installed"
    ):
        harness.scores("arc_easy", example, model, tokenizer, most=1, max_tokens=1)


TASK = """\
task: yes-or-no
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{q}}}}"
doc_to_target: "{{{{a}}}}"
doc_to_choice: [" yes", " no"]
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


@pytest.mark.slow
def test_a_task_of_the_harness_is_a_metric(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lm_eval", reason="pip install 'sweep-mlx[lm-eval]'")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (own / "asks.jsonl").write_text('{"q": "Is it?", "a": 0}\n{"q": "Is it not?", "a": 1}\n')
    (own / "yes.yaml").write_text(TASK.format(file=own / "asks.jsonl"))
    task, setting = task_of(own), {**GENERATING, "generation_metrics": "lm_eval:yes.yaml"}
    population = Population(Program(task, split_for(task, setting)[0]), 1)
    population.load(0, key=keys.key(0), hyperparameters=setting, length=Length(2, 2))
    drawn: Any = mx.random.state
    state = drawn[0].tolist()
    (report,) = population.advance().reports
    assert report.error is None
    assert report.metrics["validation_yes_or_no_acc"] in (0.0, 0.5, 1.0)
    assert drawn[0].tolist() == state
