"""A process that says what is found of trials once their study has finished: `analysis.final RUN 8 3`.

One line of JSON a trial on stdout, in the order asked: `trial` with `metrics` and `samples`, or with a
`problem`. Samples are of the first one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from analysis.errors import RunError
from analysis.load import load


def answers(run_dir: str, trials: Sequence[int]) -> Iterator[dict[str, Any]]:
    """What is found of each trial."""
    run = load(run_dir)
    for place, trial in enumerate(trials):
        try:
            found = run.final(trial, samples=place == 0)
        except RunError as error:
            yield {"trial": trial, "problem": str(error)}
        except Exception as error:  # a task's code, or lack of memory: the other trials are looked at
            yield {"trial": trial, "problem": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        else:
            yield {"trial": trial, **found.as_fields()}


def main() -> None:
    """Answer on stdout; what the task prints goes to stderr."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for answer in answers(sys.argv[1], [int(number) for number in sys.argv[2:]]):
        print(json.dumps(answer), file=out, flush=True)
    out.close()


if __name__ == "__main__":
    main()
