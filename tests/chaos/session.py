"""One session of a study whose task was described before: STUDY RUNS DESCRIPTION [WORKERS]."""

import json
import sys
from pathlib import Path

from sweep.api import run as api_run
from sweep.driver import build
from sweep.driver.monitor.progress import Quiet
from sweep.errors import SweepError
from sweep.spec.parse import load
from sweep.spec.task_description import Description

if __name__ == "__main__":
    study, runs, description = map(Path, sys.argv[1:4])
    if sys.argv[4:]:
        build.cores = lambda: int(sys.argv[4])
    known = Description(**json.loads(description.read_text()))
    api_run.describe_task = lambda spec, **_: known  # type: ignore[attr-defined]
    try:
        api_run.run_study(load(study), runs=runs, progress=Quiet())
    except SweepError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
