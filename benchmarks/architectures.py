"""Which of mlx-lm's architectures fine-tune in lanes, exactly: a tiny model of each, in two lanes and alone.

The shapes are those of mlx-lm's own tests, large ones made smaller (architectures.json). Exact means that all
arrays of a lane, after two updates beside one that differs, are those of its run alone, bit for bit on MLX's
CPU build, uncompiled. What cannot be traced for a compiled step is refused. Where mlx-lm cannot adapt every
layer, those of attention are taken.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import mlx.core as mx
import mlx.nn as nn
import numpy as np

import train_core
from benchmarks.measure import Benchmark, arguments, check
from train_core import Checkpoint, Dataset, Length, Mean, Population, Program, Task, keys, numpy_boundary
from train_core.errors import TaskError, TrainingError
from train_core.inspect import vmap_incompatibility
from train_core.inspect.probe import Probe

CONFIGS: Mapping[str, Mapping[str, Any]] = json.loads(
    (Path(__file__).parent / "architectures.json").read_text()
)
EXAMPLES, TOKENS, BATCH, RANK = 8, 12, 2, 4
LENGTH = Length(examples=2 * BATCH, report_every=2 * BATCH)
LEAST = 55
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ERRORS = (TrainingError, ValueError, RuntimeError)


class Verdict(NamedTuple):
    """What became of an architecture: `lanes`, `alone`, `inexact` or `refused`, and why it is not lanes."""

    found: str
    why: str = ""


class Tiny(Task):
    """Adapters on the layers of a tiny model with random weights, and tokens at random."""

    static = ("architecture", "vocabulary", "layers")

    def data(self, vocabulary: int) -> Dataset:
        drawn = np.random.default_rng(0).integers(0, vocabulary, (EXAMPLES, TOKENS + 1), np.int32)
        part = {"inputs": drawn[:, :-1], "targets": drawn[:, 1:]}
        return Dataset(train=part, validation={name: rows[:2] for name, rows in part.items()})

    def model(self, architecture: str, layers: str, **static: Any) -> nn.Module:
        from lm import adapters, base

        model: nn.Module = base.twin(frozen(architecture))
        attention = {path for layer in model.layers for path, _ in layer.named_modules()}
        names = [path for path in sorted(attention) if path.endswith(ATTENTION)] if layers else None
        adapters.add(model, kind="lora", num_layers=-1, rank=RANK, keys=names)
        return model

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        from lm import adapters

        with adapters.given(model, rank=hp.rank, scale=hp.scale, dropout=hp.dropout, num_layers=-1):
            logits = adapters.called(model, batch["inputs"])
        losses = train_core.cross_entropy(logits, batch["targets"])
        return Mean(losses.mean(axis=1))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}


@cache
def frozen(architecture: str) -> Any:
    """A tiny model of an architecture, its weights drawn once."""
    from mlx_lm.utils import _get_classes

    config = dict(CONFIGS[architecture])
    try:
        model_class, shape = _get_classes(config)
    except SystemExit as error:  # so mlx-lm's olmo ends where its package is missing
        raise TaskError("needs a package that is not installed") from error
    with keys.generator(keys.key(0)):
        model = model_class(shape.from_dict(config))
        mx.eval(model.parameters())
    model.freeze()
    return model


def tried(architecture: str) -> Verdict:
    """Train it in two lanes and alone; where mlx-lm cannot adapt all layers, those of attention."""
    mx.disable_compile()
    try:
        verdict = _tried(architecture, layers="")
        if verdict.found != "refused":
            return verdict
        again = _tried(architecture, layers="attention")
        if again.found == "refused":
            return verdict
        return Verdict(again.found, again.why or f"attention only, else: {verdict.why}")
    finally:
        frozen.cache_clear()
        mx.enable_compile()


def _tried(architecture: str, layers: str) -> Verdict:
    config = CONFIGS[architecture]
    vocabulary = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size", 16)
    settings: list[dict[str, Any]] = [
        {
            "architecture": architecture, "layers": layers, "vocabulary": vocabulary,
            "micro_batch_size": BATCH, "rank": RANK - lane, "scale": 2.0 + lane, "dropout": 0.1 * lane,
            "learning_rate": 1e-2 * (lane + 1),
        }
        for lane in range(2)
    ]  # fmt: skip
    try:
        probe = Probe(Tiny(), settings[0])
        _trace(probe)
        incompatible = vmap_incompatibility.find(probe)
        alone = [_run(probe.program, [setting])[0] for setting in settings]
    except ERRORS as error:
        return Verdict("refused", _line(error))
    if incompatible is not None:
        return Verdict("alone", incompatible)
    try:
        lanes = _run(probe.program, settings)
    except ERRORS as error:
        return Verdict("alone", _line(error))
    differing = [path for one, other in zip(lanes, alone, strict=True) for path in _differing(one, other)]
    if differing:
        return Verdict("inexact", f"{len(differing)} arrays differ, such as {differing[0]}")
    return Verdict("lanes")


def _trace(probe: Probe) -> None:
    """Raise where it cannot be compiled, which a study does."""
    mx.enable_compile()
    try:
        probe.trace()
    finally:
        mx.disable_compile()


def _run(program: Program, settings: list[dict[str, Any]]) -> list[Checkpoint]:
    """The ends of these runs, side by side."""
    population = Population(program, len(settings))
    for lane, setting in enumerate(settings):
        key = keys.key(int(setting["rank"]))
        population.load(lane, key=key, hyperparameters=setting, length=LENGTH)
    population.advance()
    return [population.snapshot(lane) for lane in range(len(settings))]


def _differing(one: Checkpoint, other: Checkpoint) -> Iterator[str]:
    """The paths of arrays whose bits are not the same."""
    for path, leaf in one.arrays.items():
        if numpy_boundary.raw_bytes(leaf) != numpy_boundary.raw_bytes(other.arrays[path]):
            yield path


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def main() -> int:
    """Try all, and judge how many have lanes."""
    told = arguments(__doc__ or "")
    bench = Benchmark("Architectures of mlx-lm in lanes", packages=("mlx", "mlx-lm", "numpy"))
    for name in CONFIGS:
        verdict = tried(name)
        bench.enter({"architecture": name, "found": verdict.found, "why": verdict.why})
    exact = sum(row["found"] == "lanes" for row in bench.rows)
    bench.checks.append(
        check("architectures without lanes", len(CONFIGS) - exact, bound=len(CONFIGS) - LEAST)
    )
    return bench.finish(as_json=told.json)


if __name__ == "__main__":
    sys.exit(main())
