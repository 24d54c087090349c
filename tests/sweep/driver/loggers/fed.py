"""A logger fed with all that a run directory's log holds, as the thread of a study feeds it."""

from __future__ import annotations

from sweep.driver.loggers import choosing
from sweep.driver.loggers.following import Following
from sweep.rundir.rundir import RunDir
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from tests.sweep.conftest import STUDY


def spec_for(logger: str) -> StudySpec:
    """A study whose objective is that of `tests.run_dirs`; `logger` as a study file has it."""
    text = STUDY.replace("name: line", "name: study").replace("validation_loss", "accuracy")
    return parse(text.replace("minimize", "maximize") + f"loggers: [{logger}]\n", "study.yaml")


def follow(run: RunDir, logger: str) -> list[str]:
    """Feed it; what it said."""
    said: list[str] = []
    run.write()
    makers = choosing.makers(spec_for(logger), run.path, said.append)
    with Following(run.path / "log.jsonl", makers, said.append):
        pass
    return said
