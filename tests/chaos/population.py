"""A population of which driver, workers and Ray are killed: nothing is lost, lineages are consistent."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import analysis
from runlog import layout
from runlog.integrity.descent import contradictions
from runlog.reader import read_batches
from runlog.records import Record
from sweep.api.replaying.replay import replay
from tests.chaos.harness import KINDS, OwnRayChaos, Study, deck, describe
from tests.chaos.tally import Tally, doubles

MEMBERS = 8
EPOCHS = 400
REPLAYED = 3


def population(path: Path, *, executor: str, members: int = MEMBERS, epochs: int = EPOCHS) -> Study:
    """The study of the other kills, as one whose members copy each other every epoch."""
    changes = (
        ("epochs: 4}", f"epochs: {epochs}}}, report_every: {{epochs: 1}}"),
        ("sampler: {name: random}", "sampler: {name: pbt}"),
        ("slow: 0.02", "slow: 0.0"),
    )
    return Study(path, trials=members, executor=executor, lanes="auto", changes=changes)


def check(run_dir: Path, tally: Tally, *, members: int = MEMBERS, epochs: int = EPOCHS) -> None:
    """Enter what is lost or double, decisions that cannot have been, members that differ from a replay."""
    found = analysis.load(run_dir)
    reports = Counter(zip(found.metrics.trial, found.metrics.examples, strict=True))
    tally.lost += members - int((found.trials.state == "COMPLETE").sum())
    tally.lost += members * epochs - len(reports)
    tally.duplicated += len(found.metrics) - len(reports) + doubles(run_dir)
    wrong = [*contradictions(_log(run_dir)), *_undecided(run_dir, members, epochs)]
    changed = sorted({int(number) for number in found.lineage["trial"]})
    replays = replay(run_dir, changed[:REPLAYED]).trials
    wrong += [str(each.difference) for each in replays if each.difference is not None]
    for text in wrong:
        print(f"  {run_dir.name}: {text}", flush=True)
    tally.differing += len(wrong)


def _log(run_dir: Path) -> Iterator[Record]:
    for batch in read_batches(run_dir / layout.LOG, on_damage=lambda each: None):
        yield from batch


def _undecided(run_dir: Path, members: int, epochs: int) -> Iterator[str]:
    """Members that were not decided on at every boundary but the last, in words."""
    decided = Counter(
        number for record in _log(run_dir) if record["event"] == "evolved" for number, _ in record["judged"]
    )
    for number in range(members):
        if decided[number] != epochs - 1:
            yield f"trial {number} was decided on {decided[number]} times, not {epochs - 1}"


def on_this_machine(kills: int, seed: int, tally: Tally) -> None:
    """Populations on a Ray of their own, one after another, until there were so many kills."""
    chance = random.Random(f"{seed} of a population")
    chaos, number = OwnRayChaos(deck(KINDS, kills, chance), chance, tally), 0
    with tempfile.TemporaryDirectory() as folder:
        while chaos.kills:
            number += 1
            study = population(Path(folder, f"population-{number}"), executor="ray")
            chaos.run(study, describe(study))
            check(study.run_dir, tally)
            print(f"after {number} populations: {tally}", flush=True)
