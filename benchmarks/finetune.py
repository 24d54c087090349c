"""Fine-tuning a tiny model by this project beside mlx-lm's trainer: loss, CPU seconds a step, positions.

Both train the same base on the same examples with the same numbers; orders of examples and initial adapters
differ, as seeds do. `gap` is the difference of the mean validation losses, held to the spread of the seeds.
On texts of mixed lengths a step's CPU seconds are compared, too: the mean of steps that compile nothing.
"""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path
from pydoc_data.topics import topics
from types import SimpleNamespace
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.measure import Benchmark, arguments, check, say

EXAMPLE = Path(__file__).parents[1] / "examples" / "lora"
BATCH = 4
LONGEST = {"data": 64, "mixed": 512}
"""The most tokens of an example, by the folder of the data."""
MOST_OF_A_STEP = 0.75
NUMBERS: dict[str, Any] = {"rank": 8, "scale": 10.0, "dropout": 0.0}
RATES = {"lora": 2e-3, "dora": 2e-3, "full": 5e-4}
LEAST_SPREAD = 0.02
"""Two seeds can agree by chance: a gap below this is none."""


CASES = (
    ("lora", "base", "mixed"),
    ("lora", "base", "data"),
    ("lora", "q4", "data"),
    ("dora", "base", "data"),
    ("dora", "q4", "data"),
    ("full", "base", "data"),
)
"""What is fine-tuned how, and on which data."""


class Trained(NamedTuple):
    """A run's validation loss before and after, the CPU seconds of a step, the positions of a batch's row."""

    before: float
    after: float
    step_s: float
    positions: float


def make_base(folder: Path) -> None:
    """The example's model and data, and the model in 4 bits."""
    from mlx_lm.convert import convert

    shutil.copy(EXAMPLE / "tiny_base.py", folder)
    spec = importlib.util.spec_from_file_location("tiny_base", folder / "tiny_base.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with redirect_stdout(sys.stderr):
        module.main()
        convert(str(folder / "base"), mlx_path=str(folder / "q4"), quantize=True, q_bits=4, q_group_size=32)
    write_mixed(folder / "mixed")


def write_mixed(folder: Path) -> None:
    """Texts of Python's help, most of them short, a few as long as is read."""
    folder.mkdir()
    pages = " ".join(text for _, text in sorted(topics.items()))
    drawn = random.Random(0)
    lengths = [min(2000, int(drawn.lognormvariate(5.4, 0.9))) for _ in range(416)]
    starts = [drawn.randrange(len(pages) - 2000) for _ in lengths]
    rows = [json.dumps({"text": pages[at : at + n]}) for at, n in zip(starts, lengths, strict=True)]
    (folder / "train.jsonl").write_text("\n".join(rows[:400]))
    (folder / "valid.jsonl").write_text("\n".join(rows[400:]))


def ours(folder: Path, kind: str, base: str, data: str, seed: int, updates: int) -> Trained:
    """The task `lm:FineTune` alone in a lane."""
    from lm import FineTune
    from train_core import Length, Population, Program, keys, split_for
    from train_core.data.index_sampler import IndexSampler

    task = FineTune()
    task.folder = folder
    setting = {
        **NUMBERS, "model": base, "data": data, "fine_tune_type": kind, "mask_prompt": data == "data",
        "num_layers": -1, "max_num_layers": -1, "val_batches": -1, "max_seq_length": LONGEST[data],
        "learning_rate": RATES[kind], "micro_batch_size": BATCH,
    }  # fmt: skip
    program = Program(task, split_for(task, setting)[0])
    losses, taken = [], []
    for rate in (0.0, RATES[kind]):
        steps = 1 if rate == 0.0 else updates
        population = Population(program, 1)
        length = Length(examples=steps * BATCH, report_every=steps * BATCH)
        given = {**setting, "learning_rate": rate}
        population.load(0, key=keys.key(seed), hyperparameters=given, length=length)
        reports: list[Any] = []
        while not reports:
            started = time.process_time()
            advance = population.advance(1)
            reports = list(advance.reports)
            if not reports and not advance.traces:  # the last step evaluates, too
                taken.append(time.process_time() - started)
        losses.append(reports[0].metrics["validation_loss"])
    buckets, size = program.data.train_buckets, program.data.train_size
    assert buckets is not None
    order = IndexSampler(keys.key(seed), size, buckets, batch=BATCH).take(0, updates * BATCH)
    widths = [buckets.width(row) for row in order.reshape(-1, BATCH)]
    return Trained(losses[0], losses[1], statistics.mean(taken), statistics.mean(widths))


def theirs(folder: Path, kind: str, base: str, data: str, seed: int, updates: int) -> Trained:
    """mlx-lm's trainer, as its command calls it."""
    import mlx.core as mx
    import mlx.optimizers
    import numpy as np
    from mlx_lm.tuner import trainer
    from mlx_lm.tuner.callbacks import TrainingCallback
    from mlx_lm.tuner.datasets import CacheDataset, load_local_dataset
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx_lm.utils import load

    np.random.seed(seed)
    mx.random.seed(seed)
    loaded: Any = load(str(folder / base))
    model, tokenizer, *_ = loaded
    asked = SimpleNamespace(mask_prompt=data == "data")
    train, valid, _ = load_local_dataset(folder / data, tokenizer, asked)
    model.freeze()
    if kind == "full":
        for layer in model.layers:
            layer.unfreeze()
    else:
        linear_to_lora_layers(model, 4, NUMBERS, use_dora=kind == "dora")
    at, widths = [time.process_time()], []

    class Clock(TrainingCallback):
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            at.append(time.process_time())

    def batches(*args: Any, **options: Any) -> Iterator[Any]:
        for rows, lengths in trainer.iterate_batches(*args, **options):
            widths.append(rows.shape[1] - 1)
            yield rows, lengths

    def loss() -> float:
        cached = CacheDataset(valid)
        found: float = trainer.evaluate(model, cached, len(valid), -1, max_seq_length=LONGEST[data])
        return found

    before = loss()
    options = trainer.TrainingArgs(
        batch_size=BATCH, iters=updates, val_batches=0, steps_per_report=1, steps_per_eval=10 * updates,
        steps_per_save=10 * updates, max_seq_length=LONGEST[data],
        adapter_file=str(folder / "theirs.safetensors"),
    )  # fmt: skip
    with redirect_stdout(StringIO()):
        trainer.train(
            model, mlx.optimizers.Adam(learning_rate=RATES[kind]), CacheDataset(train), None, options,
            iterate_batches=batches, training_callback=Clock(),
        )  # fmt: skip
    steps = [later - earlier for earlier, later in pairwise(at)]
    taken = [step for n, step in enumerate(steps) if widths[n] in widths[:n]]  # the first of a width compiles
    return Trained(before, loss(), statistics.mean(taken), statistics.mean(widths))


def main() -> int:
    """Run all cases and judge them."""
    told = arguments(__doc__ or "", updates=60, seeds=4)  # of two the spread says little
    bench = Benchmark("Fine-tuning beside mlx-lm's trainer", packages=("mlx", "mlx-lm", "numpy"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_base(folder)
        for kind, base, data in CASES:
            compare(bench, folder, kind, base, data, told.updates, told.seeds)
    return bench.finish(as_json=told.json)


def compare(
    bench: Benchmark, folder: Path, kind: str, base: str, data: str, updates: int, seeds: int
) -> None:
    """Add the rows and the checks of one way of fine-tuning over one base."""
    runs = {}
    for who, train in (("ours", ours), ("mlx-lm", theirs)):
        say(f"{kind} over {base} on {data}: {who}")
        found = runs[who] = [train(folder, kind, base, data, seed, updates) for seed in range(seeds)]
        bench.enter(
            {
                "type": kind,
                "base": base,
                "data": data,
                "trainer": who,
                "loss before": found[0].before,
                **{f"loss of seed {seed}": run.after for seed, run in enumerate(found)},
                "CPU s a step": statistics.median(run.step_s for run in found),
                "positions": statistics.mean(run.positions for run in found),
            }
        )
    losses = {who: [run.after for run in found] for who, found in runs.items()}
    spread = max(max(each) - min(each) for each in losses.values())
    gap = abs(statistics.mean(losses["ours"]) - statistics.mean(losses["mlx-lm"]))
    name = f"{kind} over {base} on {data}"
    bench.checks.append(check(f"gap of {name}", gap, bound=max(spread, LEAST_SPREAD)))
    if data == "mixed":
        steps = {who: statistics.median(run.step_s for run in found) for who, found in runs.items()}
        ratio = steps["ours"] / steps["mlx-lm"]
        bench.checks.append(check(f"CPU of a step to mlx-lm's, {name}", ratio, bound=MOST_OF_A_STEP))


if __name__ == "__main__":
    sys.exit(main())
