"""`sweep queue`: the studies that share slots, what each has, and when the next slot is likely to be free."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any

from sweep.errors import SpecError, SweepError
from sweep.executors.sharing.messages import Answer, BrokerError, Queued

ASK = {"call": "queue"}


@dataclass(frozen=True)
class Queue:
    """The studies that share `slots`, the first in rank first. `where` is this machine, or an inventory."""

    where: str
    slots: int
    studies: tuple[Queued, ...]
    new: bool = False

    @property
    def held(self) -> int:
        """Slots that a study has."""
        return sum(each.held for each in self.studies)

    @property
    def next_in_s(self) -> float | None:
        """In about how many seconds a slot is free, or given back; None where that is unknown."""
        if self.held < self.slots or any(each.gives for each in self.studies):
            return 0.0
        return min((each.ends_in_s for each in self.studies if each.ends_in_s is not None), default=None)

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints; `wants` is null where a study has work for any number."""
        studies = [
            {**asdict(each), "wants": None if each.wants == inf else each.wants} for each in self.studies
        ]
        return {**asdict(self), "studies": studies, "held": self.held, "next_in_s": self.next_in_s}


def queue(inventory: str | Path | None = None) -> Queue:
    """Ask the broker of this machine, or of the cluster of an inventory that this machine is a node of.

    Without a broker there are no studies. Raises SweepError where the cluster is not reached.
    """
    if inventory is None:
        return _of_this_machine()
    return _of_cluster(Path(inventory))


def _of_this_machine() -> Queue:
    from sweep.executors.sharing.local import LocalLine

    line = LocalLine(hosts=False)
    try:
        return _queue("this machine", Answer.of_plain(line.call(ASK)))
    except BrokerError:
        return Queue("this machine", 0, ())
    finally:
        line.close()


def _of_cluster(file: Path) -> Queue:
    from clusters.connection import connection
    from clusters.errors import ClusterError, InventoryError
    from clusters.inventory import load

    if not file.is_file():
        raise SweepError(f"{file}: there is no such inventory. Give the file that names your Macs, lab.yaml")
    try:
        found = connection(load(file))
    except InventoryError as error:
        raise SpecError(error.problems) from error
    except ClusterError as error:
        raise SweepError(str(error)) from error
    os.environ.update(found.environment)  # Ray reads it as it is imported
    from sweep.executors.ray.queue import ask_cluster

    answer = ask_cluster(found.address)
    return Queue(str(file), 0, ()) if answer is None else _queue(str(file), answer)


def _queue(where: str, answer: Answer) -> Queue:
    return Queue(where, answer.slots, answer.queue, answer.new)
