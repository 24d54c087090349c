"""The queue of a cluster's studies, asked by one that is none of them."""

from __future__ import annotations

import logging

from sweep.errors import SweepError
from sweep.executors.ray.nodes import first_line
from sweep.executors.ray.seats import ActorLine
from sweep.executors.ray.setup import init, ray
from sweep.executors.sharing.messages import Answer, BrokerError


def ask_cluster(address: str) -> Answer | None:
    """What the broker says; None where there is none. Raises SweepError where Ray is not reached."""
    try:
        init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray's client raises many kinds where it cannot join
        raise SweepError(f"cannot join the cluster at {address}: {first_line(error)}") from error
    try:
        return Answer.of_plain(ActorLine(hosts=False).call({"call": "queue"}))
    except BrokerError:
        return None
    finally:
        ray.shutdown()
