"""mlx-lm's configuration: what is taken over, and a line for what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from ruamel.yaml import YAML

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

from mlx_lm import lora

from lm import settings
from tests.tiny_lm import EXAMPLE
from train_core import TaskError, split

WHOLE = """\
# an unmodified configuration of mlx-lm, but for its paths
model: base
train: true
fine_tune_type: lora
optimizer: adamw
optimizer_config:
  adamw: {betas: [0.9, 0.98], eps: 1e-6, weight_decay: 0.05, bias_correction: true}
data: data
seed: 0
num_layers: 16
batch_size: 1
iters: 1000
val_batches: 25
learning_rate: 1e-5
# wandb: null
steps_per_report: 10
steps_per_eval: 200
resume_adapter_file: null
adapter_path: adapters
save_every: 100
test: false
test_batches: 100
max_seq_length: 2048
grad_checkpoint: false
lora_parameters:
  keys: [self_attn.q_proj, self_attn.v_proj]
  rank: 8
  scale: 20.0
  dropout: 0.1
lr_schedule:
  name: cosine_decay
  warmup: 100
  warmup_init: 1e-7
  arguments: [1e-5, 1000, 1e-7]
"""
SMALL = "model: m\ndata: d\n"


def filled(folder: Path, text: str, **given: Any) -> dict[str, Any]:
    (folder / "c.yaml").write_text(text)
    return settings.filled({"config": "c.yaml", "micro_batch_size": 4, **given}, folder)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"generation_metric": "exact_match"},
            r"generation_metric: is not known; did you mean `generation_metrics`",
        ),
        ({"adapter_path": "out"}, r"adapter_path: is not known; the study says it as OUT of export-adapter"),
    ],
)
def test_a_word_of_the_study_that_nothing_reads_is_a_line(
    given: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(TaskError, match=rf"^the study: {said}"):
        filled(tmp_path, SMALL, **given)


def test_mlx_lm_reads_the_example_s_configuration_too() -> None:
    """By YAML 1.1, where a plain word in brackets may not end in a question mark."""
    text, theirs = (EXAMPLE / "lora_config.yaml").read_text(), cast(Any, lora)
    found = theirs.yaml.load(text, theirs.yaml_loader)
    assert found == YAML(typ="safe", pure=True).load(text)
    assert found["samples"]["prompts"]


def test_a_whole_configuration_is_taken_over(tmp_path: Path) -> None:
    found = filled(tmp_path, WHOLE)
    wanted = {
        "optimizer": "adamw", "betas": "0.9, 0.98", "optimizer_eps": 1e-6, "weight_decay": 0.05,
        "bias_correction": True, "learning_rate": 1e-5, "schedule": "cosine", "schedule_updates": 1000,
        "warmup_updates": 100, "rank": 8, "max_rank": 8, "scale": 20.0, "dropout": 0.1, "num_layers": 16,
        "max_num_layers": 16, "max_seq_length": 2048,
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted
    assert found["schedule_end"] == found["warmup_start"] == pytest.approx(0.01)
    assert split(found, ("config", *settings.STATIC, "max_rank", "max_num_layers"))
    assert settings.lora_keys("c.yaml", tmp_path) == ["self_attn.q_proj", "self_attn.v_proj"]
    assert settings.examples_of("c.yaml", tmp_path, 25) == 25
    assert settings.examples_of("c.yaml", tmp_path, -1) is None
    said = settings.left_to_the_study("c.yaml", tmp_path)
    assert said is not None
    assert "batch_size (trial.micro_batch_size), iters (trial.length: {updates: N}), seed (seed)" in said


def test_an_empty_configuration_means_mlx_lm_s_defaults(tmp_path: Path) -> None:
    found = filled(tmp_path, SMALL + "lora_parameters: null")
    names = ("optimizer", "bias_correction", "learning_rate", "rank", "scale", "dropout", "num_layers")
    assert [found[name] for name in names] == ["adam", False, 1e-5, 8, 20.0, 0.0, 16]
    assert settings.left_to_the_study("c.yaml", tmp_path) is None


def test_the_study_counts_more_than_the_configuration(tmp_path: Path) -> None:
    found = filled(tmp_path, WHOLE, learning_rate=1e-3, rank=4, max_rank=16, model="other")
    assert [found[name] for name in ("learning_rate", "rank", "max_rank", "model")] == [1e-3, 4, 16, "other"]
    found = filled(tmp_path, WHOLE, schedule="linear", warmup_fraction=0.1, optimizer="lion")
    assert not {"warmup_updates", "schedule_end", "schedule_updates", "betas"} & found.keys()


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ("linear_schedule, arguments: [2e-5, 1e-5, 50]",
         {"schedule": "linear", "schedule_end": 0.5, "schedule_updates": 50, "learning_rate": 2e-5}),
        ("exponential_decay, arguments: [1e-5, 0.9]", {"schedule": "exponential", "schedule_decay": 0.9}),
        ("step_decay, arguments: [1e-5, 0.9, 10]",
         {"schedule": "step", "schedule_decay": 0.9, "schedule_updates": 10}),
        ("cosine_decay, arguments: [1e-5, 10]", {"schedule": "cosine", "schedule_end": 0.0}),
    ],
)  # fmt: skip
def test_each_schedule_of_mlx_is_the_core_s(tmp_path: Path, schedule: str, wanted: dict[str, Any]) -> None:
    found = filled(tmp_path, f"{SMALL}lr_schedule: {{name: {schedule}}}")
    assert {name: found[name] for name in wanted} == wanted


def test_keys_that_ask_for_nothing_else_are_passed_over(tmp_path: Path) -> None:
    """As newer examples of mlx-lm have them."""
    plain = filled(tmp_path, SMALL)
    assert filled(tmp_path, f"{SMALL}training_mode: normal\ngrad_accumulation_steps: 1\n") == plain


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learing_rate: 1", r"c.yaml:3: learing_rate: .*did you mean .*learning_rate"),
        ("zzz: 1", r"c.yaml:3: zzz: mlx-lm \d+\.\d+\S* has no such key"),
        ("training_mode: dpo", r"c.yaml:3: training_mode: only normal is here"),
        ("lora_layers: 8", r"c.yaml:3: lora_layers: mlx-lm calls it num_layers now"),
        ("hf_dataset: {path: a/b}", r"c.yaml:3: hf_dataset: save it as train\.jsonl"),
        ("grad_checkpoint: 2", r"c.yaml:3: grad_checkpoint: must be true or false, got 2"),
        ("grad_accumulation_steps: 4", r"c.yaml:3: grad_accumulation_steps: write accumulation_steps in"),
        ("report_to: wandb", r"c.yaml:3: report_to: leave it out, and write loggers"),
        ("wandb: my-project", r"c.yaml:3: wandb: leave it out"),
        ("lora_parameters: {alpha: 16}", r"c.yaml:3: lora_parameters.alpha: .*scale is alpha / rank"),
        ("lora_parameters: {rank: 0, scale: 1.0, dropout: 0.0}",
         r"c.yaml:3: lora_parameters.rank: must be an integer of at least 1, got 0"),
        ("lora_parameters: {rank: 8, dropout: 0.0}", "lora_parameters: scale is missing"),
        ("lora_parameters: {rank: 8, scale: 1.0, dropout: 0.0, keys: q_proj}", "keys: not a list of names"),
        ("num_layers: 0", r"num_layers: must be an integer of at least 1, or -1 for all, got 0"),
        ("val_batches: 0", r"val_batches: must be an integer of at least 1, or -1 for all, got 0"),
        ("max_seq_length: long", r"max_seq_length: must be an integer of at least 2, got 'long'"),
        ("fine_tune_type: lorra", "fine_tune_type: must be one of lora, dora, full, got 'lorra'"),
        ("optimizer: adamax", "optimizer: must be one of adam, adamw"),
        ("optimizer: adafactor", "adafactor would not use learning_rate"),
        ("optimizer_config: {adam: {weight_decay: 0.1}}",
         r"adam.weight_decay: MLX's adam has no such number"),
        ("optimizer: muon\noptimizer_config: {muon: {ns_steps: 3}}",
         "ns_steps: is fixed in the training core"),
        ("lr_schedule: {name: one_cycle}", "lr_schedule: its name must be one of"),
        ("lr_schedule: {name: cosine_decay, arguments: [1e-5]}",
         "lr_schedule.arguments: must be the numbers"),
        ("lr_schedule: {name: cosine_decay, arguments: [0, 9]}", "arguments: the first is the rate"),
        ("a: [", r"c.yaml:"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TaskError, match=said) as caught:
        filled(tmp_path, SMALL + text)
    assert "\n" not in str(caught.value)


def test_what_is_missing_or_no_configuration_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"c.yaml: model: is missing"):
        filled(tmp_path, "data: d")
    with pytest.raises(TaskError, match=r"c.yaml: data: is missing"):
        filled(tmp_path, "model: m")
    with pytest.raises(TaskError, match=r"holds no keys"):
        filled(tmp_path, "- a")
    with pytest.raises(TaskError, match=r"c.yaml: cannot be read: No such file"):
        settings.filled({"config": "c.yaml"}, tmp_path / "elsewhere")


def test_a_value_above_the_largest_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"rank 16 is above max_rank 8.* Write max_rank: 16 in `fixed`"):
        filled(tmp_path, WHOLE, rank=16)
    with pytest.raises(TaskError, match=r"the study: rank: must be an integer of at least 1, got 2.5"):
        filled(tmp_path, WHOLE, rank=2.5)
    with pytest.raises(TaskError, match=r"num_layers 2 is not max_num_layers 16: only fine_tune_type lora"):
        filled(tmp_path, WHOLE, num_layers=2, fine_tune_type="dora")
