"""What the driver knows of a task without importing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Description:
    """A task, as its own process described it.

    `static` are the names that shape the program (the core's and the task's own), `switches` those of
    which only on or off does, `dynamic` those that the task's functions read, `filled` those that the task
    gives itself where the study does not; `metrics` is what is reported; `device` is "cpu" or "gpu";
    `vmap_incompatibility` says why two lanes cannot train in one step, None where they can; `lane_rules`
    names the operations that lanes compute by rules of ours, not by `mx.vmap`'s; `purity` is
    `train_core.Purity` as JSON, without problems, where it was asked for; `reads` are the files that the
    task reads, by name: `sha256`, and `text` where that is recorded; `widths` are those of batches, where
    examples have lengths; `test_examples` is how many the test part has, 0 where there is none; `samples`
    says whether there are texts to show of the best trial's model; `on_request` gives by the name of a metric
    that is not reported what to do for it.
    """

    static: tuple[str, ...]
    switches: tuple[str, ...]
    dynamic: tuple[str, ...]
    metrics: tuple[str, ...]
    train_examples: int
    validation_examples: int
    device: str
    chip: str
    memory_bytes: int
    vmap_incompatibility: str | None
    lane_rules: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    purity: Mapping[str, Any] | None = None
    widths: tuple[int, ...] = ()
    reads: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    test_examples: int = 0
    samples: bool = False
    on_request: Mapping[str, str] = field(default_factory=dict)
