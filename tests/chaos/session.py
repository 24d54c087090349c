"""One session of a study whose task was described before: STUDY RUNS DESCRIPTION."""

import json
import sys
from pathlib import Path

from sweep import session
from sweep.description import Description
from sweep.errors import SweepError
from sweep.progress import Quiet
from sweep.spec import load

if __name__ == "__main__":
    study, runs, description = map(Path, sys.argv[1:])
    known = Description(**json.loads(description.read_text()))
    session.describe_task = lambda spec, **_: known
    try:
        session.run_study(load(study), runs=runs, progress=Quiet())
    except SweepError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
