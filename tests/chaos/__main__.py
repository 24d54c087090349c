"""Chaos for long: kills drivers, workers and machines of studies on Ray, then says what can be seen of it."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos import harness, machines, population
from tests.chaos.harness import OwnRayChaos, Study, deck, describe
from tests.chaos.machines import MachineChaos, undisturbed
from tests.chaos.people import People
from tests.chaos.tally import Tally, compare
from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import StudyLab

TRIALS = 240
TRIALS_ON_MACHINES = 80
SHARE_ON_MACHINES = 0.3

REQUESTS = 60
"""So much is asked by hand of every other study on this machine."""


def lanes(number: int) -> int:
    """Of the disturbed studies in turn; the undisturbed one has one lane, and the same table."""
    return 1 + number % 3


def on_machines(kills: int, seed: int, tally: Tally, *, trials: int) -> None:
    """Studies over three machines, one after another, until there were so many kills."""
    chance = random.Random(f"{seed} on machines")
    with Lab(("a", "b", "c"), subnet="10.213.12") as lab, StudyLab(lab) as cluster:
        cluster.up("a", "b", "c")
        expected = undisturbed(cluster, trials=trials)
        chaos, number = MachineChaos(cluster, deck(machines.KINDS, kills, chance), chance, tally), 0
        while chaos.kills:
            number += 1
            run_dir = chaos.run(f"chaos-{number}", trials=trials, lanes=lanes(number))
            compare(run_dir, expected, tally, trials=trials)
            print(f"after {number} studies over machines: {tally}", flush=True)


def on_this_machine(kills: int, seed: int, tally: Tally, *, trials: int) -> None:
    """Studies on a Ray of their own, one after another, until there were so many kills more."""
    chance = random.Random(f"{seed} on this machine")
    with tempfile.TemporaryDirectory() as folder:
        whole = Study(Path(folder, "undisturbed"), trials=trials, executor="inline")
        description = describe(whole)
        whole.finish(description)
        chaos, number = OwnRayChaos(deck(harness.KINDS, kills, chance), chance, tally), 0
        while chaos.kills:
            number += 1
            path = Path(folder, f"disturbed-{number}")
            disturbed = Study(path, trials=trials, executor="ray", lanes=lanes(number))
            people = None
            if number % 2:
                people = People(disturbed.run_dir, chance, trials=trials, most=REQUESTS)
            chaos.run(disturbed, description, people)
            apart = people.check(tally) if people is not None else ()
            compare(disturbed.run_dir, whole.run_dir, tally, trials=trials, apart=apart)
            print(f"after {number} studies on this machine: {tally}", flush=True)


def main() -> int:
    """Kill until there were enough kills; 0 where no trace of them is left."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of a study here; default: %(default)s")
    parser.add_argument("--population", action="store_true", help="of a population, on this machine")
    parser.add_argument("--on-machines", type=int, help="how many of the kills; default: three in ten")
    told = parser.parse_args()
    kills = round(told.kills * SHARE_ON_MACHINES) if told.on_machines is None else told.on_machines
    tally, reason = Tally(), reason_against()
    if told.population:
        population.on_this_machine(told.kills, told.seed, tally)
        print(tally)
        return 0 if tally.clean else 1
    if reason is not None:
        print(f"no machines are killed, all kills are of processes on this machine: {reason}", flush=True)
        kills = 0
    if kills:
        on_machines(kills, told.seed, tally, trials=TRIALS_ON_MACHINES)
    if told.kills > kills:
        on_this_machine(told.kills - kills, told.seed, tally, trials=told.trials)
    print(tally)
    return 0 if tally.clean else 1


if __name__ == "__main__":
    sys.exit(main())
