"""Pretraining: a configuration and files become a study's model and data; bad ones are a line each."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

from mlx_lm.utils import load_model

from lm import Pretrain
from tests.train_core.conftest import against_alone
from train_core import DeviceDataset, Length, Population, Program, TaskError, keys, split_for
from train_core.inference import weight_tree

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-5,
    "vocab_size": 64,
    "max_position_embeddings": 32,
    "tie_word_embeddings": True,
}
SETTING: dict[str, Any] = {
    "config": "config.json",
    "data": "data",
    "max_seq_length": 8,
    "micro_batch_size": 2,
    "learning_rate": 1e-2,
}
LENGTH = Length(examples=4, report_every=4)
pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.fixture
def task(tmp_path: Path) -> Pretrain:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "data").mkdir()
    tokens = np.random.default_rng(0).integers(0, 64, 100).astype(np.uint16)
    tokens.tofile(tmp_path / "data" / "train.bin")
    np.save(tmp_path / "data" / "valid.npy", tokens[:50].astype(np.int64))
    made = Pretrain()
    made.folder = tmp_path
    return made


def load(task: Pretrain, **changes: Any) -> DeviceDataset:
    return DeviceDataset.of(task, split_for(task, {**SETTING, **changes})[0])


@pytest.mark.slow
def test_invariant_2_lanes_equal_their_runs_alone(task: Pretrain) -> None:
    others = [{**SETTING, "learning_rate": 1e-3 * (lane + 1)} for lane in range(2)]
    one, other = against_alone(task, *others, length=LENGTH)
    name = "parameters.model.embed_tokens.weight"
    assert np.abs(np.array(one.arrays[name]) - np.array(other.arrays[name])).max() > 1e-3  # other keys


def test_an_example_is_a_window_and_perplexity_is_that_of_the_mean_loss(task: Pretrain) -> None:
    population = Population(Program(task, split_for(task, SETTING)[0]), 1)
    data = population.program.data
    assert (data.train_size, data.validation_size) == (12, 6)
    batch = data.batch("train", np.array([1], np.uint32))
    stored = np.fromfile(task.folder / "data" / "train.bin", np.uint16)
    assert np.array(batch["inputs"])[0].tolist() == stored[8:16].tolist()
    assert np.array(batch["targets"])[0].tolist() == stored[9:17].tolist()
    population.load(0, key=keys.key(0), hyperparameters=SETTING, length=LENGTH)
    (report,) = population.advance().reports
    loss = report.metrics["validation_loss"]
    assert loss == pytest.approx(np.log(64), rel=0.2)
    assert report.metrics["validation_perplexity"] == pytest.approx(np.exp(loss), rel=1e-12)
    assert load(task, val_examples=2).validation_size == 2


def test_a_trained_model_is_one_that_mlx_lm_loads(task: Pretrain, example: Path) -> None:
    setting = {**SETTING, "tokenizer": str(example / "base")}
    population = Population(Program(task, split_for(task, setting)[0]), 1)
    population.load(0, key=keys.key(0), hyperparameters=setting, length=LENGTH)
    population.advance()
    weights, out = weight_tree(population.snapshot(0)), task.folder / "out"
    (command,) = task.export(weights, setting, out)
    assert command.startswith("mlx_lm.generate --model ")
    model, _ = load_model(out)
    found: Any = model
    wanted = weights["model"]["embed_tokens"]["weight"]
    np.testing.assert_array_equal(np.array(found.model.embed_tokens.weight), np.array(wanted))
    with pytest.raises(TaskError, match="already holds a model and is not overwritten"):
        task.export(weights, setting, out)


def test_texts_become_tokens_by_a_tokenizer(task: Pretrain, example: Path) -> None:
    data = task.folder / "data"
    (data / "train.bin").unlink()
    rows = [{"text": "What does this function do?"}] * 20
    (data / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (task.folder / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": 512}))
    found = load(task, tokenizer=str(example / "base"))
    assert found.train_size > 10
    read = task.reads({**SETTING, "tokenizer": str(example / "base")})
    assert set(read) == {"config.json", "data/train.jsonl", "data/valid.npy", str(example / "base")}
    assert read["config.json"].kept
    with pytest.raises(TaskError, match=r"train\.jsonl: texts become tokens by a tokenizer, and none is"):
        load(task)
    with pytest.raises(TaskError, match=r"train\.jsonl:1: has no text as 'body'"):
        load(task, tokenizer=str(example / "base"), text_feature="body")
    (data / "train.jsonl").write_text("{]\n")
    with pytest.raises(TaskError, match=r"train\.jsonl:1: not an example in JSON"):
        load(task, tokenizer=str(example / "base"))


def test_what_is_wrong_with_the_data_is_a_line(task: Pretrain) -> None:
    data = task.folder / "data"
    with pytest.raises(TaskError, match=r"max_seq_length 33 is above 32, the longest text of .*config\.json"):
        load(task, max_seq_length=33)
    with pytest.raises(TaskError, match=r"nowhere: there is no such folder\. Write one with train\.bin"):
        load(task, data="nowhere")
    with pytest.raises(TaskError, match=r"train\.bin: holds token \d+, and the model's vocab_size is 64"):
        load(task, token_type="uint32")
    np.save(data / "train.npy", np.zeros((2, 2)))
    with pytest.raises(TaskError, match=r"holds train\.npy and train\.bin\. Keep one"):
        load(task)
    (data / "train.bin").unlink()
    with pytest.raises(TaskError, match=r"train\.npy: must hold integers in one dimension, got float64"):
        load(task)
    (data / "train.npy").write_bytes(b"no array")
    with pytest.raises(TaskError, match=r"train\.npy: is not an array that NumPy saved"):
        load(task)
    np.save(data / "train.npy", np.zeros(5, np.uint16))
    with pytest.raises(TaskError, match=r"train\.npy: holds 5 tokens, and an example takes max_seq_length 8"):
        load(task)
    (data / "train.npy").unlink()
    with pytest.raises(TaskError, match=r"has no file to train on; write train\.npy or train\.bin"):
        load(task)
    (data / "train.bin").write_bytes(b"abc")
    with pytest.raises(TaskError, match=r"train\.bin: its 3 bytes are not tokens of uint16"):
        load(task)


def test_what_is_wrong_with_the_configuration_is_a_line(task: Pretrain) -> None:
    config = task.folder / "config.json"

    def program(text: str, **changes: Any) -> None:
        config.write_text(text)
        Program(task, split_for(task, {**SETTING, **changes})[0])

    with pytest.raises(TaskError, match=r"model_type lama: mlx-lm has no such architecture"):
        program(json.dumps({**CONFIG, "model_type": "lama"}))
    if importlib.util.find_spec("hf_olmo") is None:
        with pytest.raises(TaskError, match=r"needs a package for this architecture, which it names above"):
            program(json.dumps({**CONFIG, "model_type": "olmo"}))
    with pytest.raises(TaskError, match=r"it has no model_type, such as llama"):
        program("{}")
    with pytest.raises(TaskError, match=r"config\.json:1: not JSON"):
        program("{")
    with pytest.raises(TaskError, match=r"quantization: random weights are trained in full"):
        program(json.dumps({**CONFIG, "quantization": {"bits": 4}}))
    with pytest.raises(TaskError, match=r"mlx-lm cannot build this model: TypeError"):
        program(json.dumps({"model_type": "llama", "vocab_size": 64}))
    with pytest.raises(TaskError, match=r"the study: token_type: must be one of uint16, uint32, got 'int8'"):
        program(json.dumps(CONFIG), token_type="int8")
    with pytest.raises(TaskError, match=r"nowhere\.json: cannot be read: No such file"):
        program(json.dumps(CONFIG), config="nowhere.json")
