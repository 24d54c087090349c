"""The best trials once a study has finished: on the test part, and texts of the best one's model.

What was found of a trial is in the log, and is not looked for again.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runlog import ranking
from runlog.final import Final
from sweep.driver.monitor.progress import Progress
from sweep.driver.processes.own import command, environment
from sweep.rundir.rundir import RunDir
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Outcome


def record_final(
    spec: StudySpec,
    description: Description,
    run: RunDir,
    told: Mapping[int, Outcome],
    progress: Progress,
) -> dict[int, Final]:
    """Record what is found of the best trials; gives it by number, with what earlier sessions found.

    A trial of which nothing can be found costs a message. After a KeyboardInterrupt what was found stays.
    """
    found = dict(run.history.study.final)
    wanted = [number for number in _wanted(spec, description, told) if number not in found]
    if not wanted:
        return found
    run.commit()  # the process reads the log
    which = "the best trial" if len(wanted) == 1 else f"the best {len(wanted)} trials"
    progress.stage(f"testing {which}")
    left = set(wanted)
    for answer in _answers(run.path, wanted):
        number = answer["trial"]
        left.discard(number)
        if "problem" in answer:
            _say(run, progress, f"trial {number} could not be tested: {answer['problem']}")
        else:
            found[number] = Final.of(answer)
            run.record_final(number, found[number])
            run.commit()
    if left:
        listed = ", ".join(map(str, sorted(left)))
        _say(run, progress, f"not tested: {listed}; the process that does it has ended. Its message is above")
    return found


def _wanted(spec: StudySpec, description: Description, told: Mapping[int, Outcome]) -> list[int]:
    """The trials to look at, the best first; none where no checkpoint of ended ones is kept."""
    if not spec.checkpoints.keep_best:
        return []
    tested = spec.test.best if description.test_examples else 0
    count = max(tested, 1) if description.samples else tested
    best = ranking.best(told.values(), [objective.direction for objective in spec.objective])
    return [outcome.number for outcome in best[:count]]


def _answers(run_dir: Path, trials: Sequence[int]) -> Iterator[dict[str, Any]]:
    """What the process says of each trial, as soon as it does."""
    arguments = (str(run_dir), *map(str, trials))
    with subprocess.Popen(
        command("analysis.final", *arguments),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process, which ends that one
    ) as process:
        assert process.stdout is not None
        try:
            yield from map(json.loads, process.stdout)
        finally:
            process.kill()  # it has ended, unless this one is interrupted


def _say(run: RunDir, progress: Progress, text: str) -> None:
    run.record_message("warning", text)
    progress.note(text)
