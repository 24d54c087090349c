"""How a study stands, as progress shows it."""

from __future__ import annotations

from sweep.driver.monitor.progress import StudyView

VIEW = StudyView(
    ended={"COMPLETE": 12, "PRUNED": 3, "FAIL": 1},
    running=8,
    budget=32,
    slots=2,
    lanes=8,
    lanes_busy=7,
    slots_busy=2,
    elapsed_s=64.0,
    examples_per_s=123_456.7,
)
