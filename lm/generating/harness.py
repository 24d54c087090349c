"""Tasks of lm-evaluation-harness over a model in memory, by mlx-lm's own adapter for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from lm import base
from train_core.errors import TaskError

MISSING = "needs lm-evaluation-harness, which is not installed. Type: pip install 'sweep-mlx[lm-eval]'"


def scores(
    task: str, folder: Path, model: Any, tokenizer: Any, *, most: int | None, max_tokens: int
) -> dict[str, float]:
    """The metrics of a task over at most so many of its examples, named `<task>_<metric>`. Raises TaskError.

    `task` is one of the harness's names, or a file of its own form in the folder: `mine.yaml`.
    """
    try:
        import lm_eval
        from mlx_lm.evaluate import MLXLM
    except ModuleNotFoundError as error:
        raise TaskError(f"generation_metrics: lm_eval:{task}: {MISSING}") from error
    chats = tokenizer.has_chat_template

    class InMemory(MLXLM):
        """mlx-lm's, but for where the model comes from."""

        def __init__(self) -> None:
            self._model, self.tokenizer = base.twin(model), tokenizer
            self._max_tokens, self._batch_size, self._sampler = max_tokens, 8, None
            self.use_chat_template = chats
            super(MLXLM, self).__init__()

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # bars and counts for a terminal
            tasks, manager = _tasks(str(folder / task) if task.endswith(".yaml") else task)
            found = lm_eval.simple_evaluate(
                model=InMemory(),
                tasks=tasks,
                task_manager=manager,
                limit=most,
                apply_chat_template=chats,
                bootstrap_iters=0,
                log_samples=False,
                random_seed=None,  # it would seed the generators of this process
                numpy_random_seed=None,
                torch_random_seed=None,
                verbosity="ERROR",
            )
    except Exception as error:  # tasks fetch data and run code of their own
        problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise TaskError(f"generation_metrics: lm_eval:{task}: {problem}") from error
    results: dict[str, dict[str, Any]] = found["results"]
    own = {task: results[task]} if task in results else results  # a group has those of its tasks, too
    return dict(_numbers(own))


@cache  # all of the harness's tasks are read to find one: seconds
def _tasks(name: str) -> tuple[list[Any], Any]:
    """A task as the harness takes it, and its manager of tasks."""
    from lm_eval.config.evaluate_config import EvaluatorConfig

    config = EvaluatorConfig(tasks=[name])
    manager = config.process_tasks()
    return config.tasks, manager


def _numbers(results: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    """Metrics by name: `exact_match,strict-match` is one with its filter, `acc,none` one without."""
    for task, values in results.items():
        for name, value in values.items():
            metric, _, kind = name.partition(",")
            if isinstance(value, int | float) and kind and not metric.endswith("_stderr"):
                named = [task, metric] if kind == "none" else [task, metric, kind]
                yield "_".join(named).replace("-", "_"), float(value)
