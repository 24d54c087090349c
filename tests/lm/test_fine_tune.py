"""Fine-tuning: lanes of any rank are exact, the loss is mlx-lm's, bad models and data are a line each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

from mlx_lm.convert import convert
from mlx_lm.tuner.trainer import default_loss
from mlx_lm.utils import load_model

from lm import base
from tests.lm.tasks import SETTING, task_of
from tests.train_core.conftest import against_alone
from train_core import DeviceDataset, Length, Population, Program, TaskError, device, keys, split_for
from train_core.loading import TaskLoadError, load_task

LENGTH = Length(examples=4, report_every=4)
pytestmark = pytest.mark.usefixtures("uncompiled")


def others(kind: str, count: int) -> list[dict[str, Any]]:
    """Settings that differ in all that is dynamic, one of them as large as can be."""
    return [
        {
            **SETTING,
            "fine_tune_type": kind,
            "rank": 1 + (3 * lane) % 8,
            "scale": 1.0 + lane,
            "dropout": 0.1 * (1 + lane % 3),
            "num_layers": 1 + lane % 4 if kind == "lora" else 4,
            "learning_rate": 1e-3 * (lane + 1),
        }
        for lane in range(count)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "width"), [("lora", 7), ("dora", 2), ("full", 2)])
def test_invariant_2_lanes_of_other_ranks_scales_dropouts_and_layers_equal_their_runs_alone(
    example: Path, kind: str, width: int
) -> None:
    against_alone(task_of(example), *others(kind, width), length=LENGTH)


@pytest.mark.slow
def test_invariant_2_lanes_over_a_base_of_four_bits(own: Path) -> None:
    convert(str(own / "base"), mlx_path=str(own / "q4"), quantize=True, q_bits=4, q_group_size=32)
    settings = [{**each, "model": "q4"} for each in others("lora", 2)]
    against_alone(task_of(own), *settings, length=LENGTH)


@pytest.mark.slow
def test_invariant_2_lanes_of_checkpointed_layers_end_where_kept_ones_do(example: Path) -> None:
    """Without dropout; with it what a layer draws is another key's, and lanes still equal runs alone."""
    task, checkpointed = task_of(example), {"grad_checkpoint": True}
    against_alone(task, *({**each, **checkpointed} for each in others("lora", 2)), length=LENGTH)
    same = {**others("lora", 1)[0], "dropout": 0.0}
    ends = [against_alone(task, {**same, **more}, length=LENGTH)[0] for more in ({}, checkpointed)]
    for path, leaf in ends[0].arrays.items():
        if path.startswith("parameters."):
            np.testing.assert_array_equal(np.array(leaf), np.array(ends[1].arrays[path]), path)


def test_a_loss_is_mlx_lm_s(example: Path) -> None:
    """At the start an adapter does nothing: the base's loss over a padded batch, masks included."""
    task = task_of(example)
    program = Program(task, split_for(task, SETTING)[0])
    batch = program.data.batch("train", np.arange(4, dtype=np.uint32))
    hp = SimpleNamespace(
        fine_tune_type="lora", rank=mx.array(4.0), scale=10.0, alpha=mx.array(0.0), rslora=mx.array(0.0),
        dropout=0.0, num_layers=4, drops_out=False,
    )  # fmt: skip
    ours = task.loss(program.build(keys.key(0)), batch, hp)
    assert ours.weights is not None
    mean = (ours.values * ours.weights).sum() / ours.weights.sum()
    x = mx.concatenate([batch["inputs"], batch["targets"][:, -1:]], axis=1)
    theirs, _ = default_loss(base.model(example / "base"), x, batch["span"])
    assert mean.item() == pytest.approx(theirs.item(), rel=1e-6)


@pytest.mark.slow
def test_a_base_is_read_once_and_no_part_of_a_run_s_state(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, read, load = task_of(example), [], load_model

    def counted(path: Path, **options: Any) -> Any:
        read.append(path)
        return load(path, **options)

    monkeypatch.setattr(base, "load_model", counted)
    base._read.cache_clear()
    one, other = (Program(task, split_for(task, {**SETTING, "max_rank": rank})[0]) for rank in (8, 16))
    assert read == [example / "base"]
    name = "model.layers.0.self_attn.q_proj.linear.weight"
    held = [
        dict(tree_flatten(program.build(keys.key(n)).parameters()))[name]
        for n, program in enumerate((one, other))
    ]
    assert held[0] is held[1]
    state = {path for path in one.layout if path.startswith(("parameters.", "model."))}
    assert {path.rpartition(".")[2] for path in state} == {"lora_a", "lora_b"}


@pytest.mark.slow
def test_reports_count_tokens_as_mlx_lm_does_and_say_the_rate(example: Path) -> None:
    """Of lanes whose schedules differ; the tokens are those of the examples since the report before."""
    task = task_of(example)
    settings = [
        {**SETTING, "schedule": "cosine", "warmup_updates": 1},
        {**SETTING, "schedule": "linear", "learning_rate": 0.01},
    ]
    program = Program(task, split_for(task, SETTING)[0])
    population = Population(program, 2)
    for lane, setting in enumerate(settings):
        population.load(lane, key=keys.key(lane), hyperparameters=setting, length=Length(8, 4))
    reports = [report for _ in range(2) for report in population.advance().reports]
    for report in reports:
        sampler = population._lanes[report.lane].sampler
        span = program.data.batch("train", sampler.take(report.examples - 4, 4))["span"]
        wide = program.data.train["targets"].shape[1]
        counted = np.minimum(np.array(span[:, 1]), wide) - np.maximum(np.array(span[:, 0]), 1) + 1
        assert report.metrics["train_tokens"] == np.maximum(counted, 0).sum()
    rates = {(report.lane, report.examples): report.metrics["learning_rate"] for report in reports}
    assert rates[0, 4] == pytest.approx(3e-3)  # two updates: the warm-up's end
    assert rates[1, 4] == pytest.approx(0.01 * 3 / 4)
    assert rates[1, 8] == pytest.approx(0.01 * 1 / 4)
    assert rates[0, 8] < rates[0, 4]


def test_the_precision_is_the_one_that_the_model_is_stored_in(own: Path) -> None:
    weights: Any = mx.load(str(own / "base" / "model.safetensors"))
    half = {name: array.astype(mx.bfloat16) for name, array in weights.items()}
    mx.save_safetensors(str(own / "base" / "model.safetensors"), half)
    task = task_of(own)
    assert split_for(task, SETTING)[0].precision == "bfloat16"
    assert split_for(task, {**SETTING, "precision": "float32"})[0].precision == "float32"


def test_what_is_wrong_with_the_data_is_a_line(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, data = task_of(own), own / "data"

    def load(**changes: Any) -> DeviceDataset:
        return DeviceDataset.of(task, split_for(task, {**SETTING, **changes})[0])

    load(max_seq_length=20)
    said = capsys.readouterr().err
    assert "examples are cut to max_seq_length 20, and" in said
    assert "the study says these itself: batch_size (trial.micro_batch_size)" in said
    with pytest.raises(TaskError, match=r"train\.jsonl: no example has an answer within max_seq_length 9"):
        load(max_seq_length=9)
    with pytest.raises(TaskError, match=r"nowhere: there is no such folder\. Write one that holds train"):
        load(data="nowhere")
    with (data / "train.jsonl").open("a") as file:
        file.write("{]\n")
    with pytest.raises(TaskError, match=r"train\.jsonl:\d+: not an example in JSON"):
        load()
    (data / "train.jsonl").write_text('{"messages": []}\n{"text": "a"}\n')
    with pytest.raises(TaskError, match=r"train\.jsonl:\d: mlx-lm cannot read this example"):
        load()
    (data / "train.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(TaskError, match=r"train\.jsonl: Prompt masking not supported for text"):
        load()
    (data / "train.jsonl").write_text("{}\n")
    with pytest.raises(TaskError, match=r"train\.jsonl: Unsupported data format"):
        load()
    (data / "train.jsonl").write_text("")
    with pytest.raises(TaskError, match=r"holds no example"):
        load()
    (data / "valid.jsonl").unlink()
    (data / "train.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(TaskError, match=r"has no valid\.jsonl"):
        load(mask_prompt=False)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "olmo"}, "mlx-lm needs a package for this architecture"),
        (
            {"model_type": "dbrx", "attn_config": {"clip_qkv": True, "kv_n_heads": 2}},
            "its tokenizer cannot be loaded",
        ),
    ],
)
def test_a_base_whose_tokenizer_cannot_be_loaded_is_a_line(
    config: dict[str, object], said: str, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hf_olmo", None)
    (own / "base" / "config.json").write_text(json.dumps(config))
    with pytest.raises(TaskError, match=rf"^model: .*{said}[^\n]*$"):
        base.tokenizer(own / "base")


def test_a_tokenizer_without_a_chat_template_is_a_line(own: Path) -> None:
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        file = own / "base" / name
        if name.endswith("jinja"):
            file.unlink(missing_ok=True)
        elif file.exists():
            text = file.read_text()
            assert '"chat_template"' not in text
    with pytest.raises(TaskError, match=r"train\.jsonl: the model's tokenizer has no chat template"):
        DeviceDataset.of(task_of(own), split_for(task_of(own), SETTING)[0])


def test_what_is_wrong_with_the_model_is_a_line(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(own)

    def program(**changes: Any) -> None:
        Program(task, split_for(task, {**SETTING, **changes})[0])

    with pytest.raises(TaskError, match=r"num_layers is up to 9 here, and \S+ has 4 layers\. Write"):
        program(num_layers=9, max_num_layers=9)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TaskError, match=r"model: a/b: there is no such folder, and the hub did not give it"):
        program(model="a/b")
    config = own / "lora_config.yaml"
    config.write_text(config.read_text() + "  keys: [no_such_layer]\n")
    with pytest.raises(TaskError, match=r"keys: no_such_layer: no layer of .* is called so"):
        program()
    monkeypatch.setattr(device, "memory_bytes", lambda: 1000)
    (own / "base").rename(own / "large")
    with pytest.raises(TaskError, match=r"large: its weights take 0\.0 GB, and this machine has"):
        program(model="large")


def test_without_mlx_lm_the_package_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("lm", "mlx_lm")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlx_lm", None)
    with pytest.raises(TaskLoadError, match=r"mlx-lm is not installed\. Type: pip install 'sweep-mlx\[lm\]'"):
        load_task(".", "lm:FineTune")
