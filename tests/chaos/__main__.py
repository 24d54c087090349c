"""Chaos for long: kills drivers and workers of studies on Ray, then says what could be seen of it."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.harness import Study, Tally, compare, describe, kill_all_sorts

TRIALS = 60


def main() -> int:
    """Studies one after another until there were enough kills; 0 where no trace of them is left."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each study; default: %(default)s")
    arguments = parser.parse_args()
    chance, tally = random.Random(arguments.seed), Tally()
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = Study(Path(folder, "undisturbed"), trials=arguments.trials, executor="inline")
        description = describe(undisturbed)
        undisturbed.finish(description)
        number = 0
        while tally.kills.total() < arguments.kills:
            number += 1
            disturbed = Study(Path(folder, f"disturbed-{number}"), trials=arguments.trials, executor="ray")
            kill_all_sorts(disturbed, description, chance, arguments.kills, tally)
            disturbed.finish(description)
            compare(disturbed, undisturbed, tally)
            print(f"after {number} studies: {tally}", flush=True)
    print(tally)
    return 0 if tally.clean else 1


if __name__ == "__main__":
    sys.exit(main())
