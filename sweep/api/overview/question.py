"""What a study asks, in a line: what it makes small or large, of what, by which hyperparameters."""

from __future__ import annotations

import re

from runlog import layout
from runlog.study import StudyState

MOST_NAMES = 6
"""So many hyperparameters are named."""

_TASK = re.compile(r"^task: (?!null$)(\S.*)$", re.MULTILINE)


def question(study: StudyState) -> str:
    """From the log alone; a run of a version that did not record its study file has no task in it."""
    aims = " and ".join(f"{direction} {metric}" for metric, direction in study.objectives)
    texts = [each for each in study.files.contents.get(layout.STUDY, ()) if isinstance(each, str)]
    task = _TASK.search(texts[-1]) if texts else None
    of = f" of {task[1]}" if task else ""
    names = list(dict.fromkeys(name for row in study.trials.values() for name in row.params))
    more = f", {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    by = f" by {', '.join(names[:MOST_NAMES])}{more}" if names else ""
    return f"{aims}{of}{by}" if aims else ""
