"""A program that records trials without end until it is killed, and says on stdout what it has committed."""

import sys
from pathlib import Path

from sweep.rundir.rundir import RunDir
from tests.run_dirs import LENGTH, Clock, ask, begin, open_run, outcome, report, store

LANES = 4


def say(event: str, keys: dict[int, int]) -> None:
    print(*(f"{event},{number},{examples}" for number, examples in keys.items()), flush=True)


def advance(run: RunDir, reached: dict[int, int]) -> None:
    """Report and snapshot every live trial once, what it reported before included; tell those that end."""
    attempt = run.session
    before = [report(number, examples, attempt=attempt) for number, examples in reached.items() if examples]
    for number, examples in reached.items():
        reached[number] = min(examples + LENGTH.report_every, LENGTH.examples)
    run.record_reports(before + [report(*run_key, attempt=attempt) for run_key in reached.items()])
    for number, examples in reached.items():
        store(run, number, examples, b"weights" * 999)
    run.commit()
    say("report", reached)
    ended = {number: examples for number, examples in reached.items() if examples == LENGTH.examples}
    for number in ended:
        run.record_outcome(outcome(number))
        del reached[number]
    run.commit()
    say("told", ended)


def main(root: Path) -> None:
    run = open_run(root, Clock(tick=0.5))
    begin(run)
    next_number = len(run.history.study.trials)
    reached = {
        number: trial.reports[-1].examples if trial.reports else 0
        for number, trial in run.history.unfinished.items()
    }
    while True:
        fresh = range(next_number, next_number + LANES - len(reached))
        ask(run, *fresh)
        reached.update(dict.fromkeys(fresh, 0))
        next_number = fresh.stop
        advance(run, reached)
        run.maintain()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
