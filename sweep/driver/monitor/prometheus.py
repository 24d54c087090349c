"""What Ray shows of a study: its numbers on the Prometheus endpoint, and where its dashboard is."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from sweep.driver.monitor.progress import Progress, StudyView
from sweep.executors.ray.setup import Counter, Gauge, init
from sweep.vocabulary.trial import TrialState

PUBLISH_EVERY_S = 1.0
"""How often the numbers are set; Ray itself hands them to its endpoint every few seconds."""

GAUGES: Mapping[str, str] = {
    "sweep_budget_trials": "Trials in all that the study asks for",
    "sweep_best_value": "The objective's value of the best complete trial",
    "sweep_examples_per_second": "Training examples a second since the session began",
    "sweep_lanes": "Lanes that there are",
    "sweep_lanes_busy": "Lanes that hold a run",
    "sweep_slots": "Workers that there are",
    "sweep_slots_busy": "Workers that hold a run",
    "sweep_queue": "Runs that wait for a lane",
    "sweep_faults": "Workers lost and turns failed as a whole in this session",
}
"""What is published beside `sweep_trials` by state and `sweep_examples`; Ray puts `ray_` before each."""


class RayMetrics:
    """Shows what another progress shows, and publishes it. Ray must have started before the first `show`."""

    def __init__(self, study: str, metric: str, shown: Progress) -> None:
        self._shown = shown
        self._published = -math.inf
        self._examples = 0
        tags = {"study": study}
        self._trials = Gauge("sweep_trials", "Trials by state", tag_keys=("study", "state"))
        self._trials.set_default_tags(tags)
        self._examples_total = Counter("sweep_examples", "Training examples seen", tag_keys=("study",))
        self._examples_total.set_default_tags(tags)
        self._gauges = {name: _gauge(name, text, study, metric) for name, text in GAUGES.items()}

    def note(self, text: str) -> None:
        self._shown.note(text)

    def tip(self, text: str) -> None:
        self._shown.tip(text)

    def stage(self, text: str) -> None:
        self._shown.stage(text)

    def close(self) -> None:
        self._shown.close()

    def show(self, view: StudyView) -> None:
        now = time.monotonic()
        if now - self._published >= PUBLISH_EVERY_S:
            if self._published == -math.inf:
                self._shown.tip(_where())
            self._published = now
            self._publish(view)
        self._shown.show(view)

    def _publish(self, view: StudyView) -> None:
        for state in TrialState:
            self._trials.set(view.ended.get(state.value, 0), {"state": state.value})
        self._trials.set(view.running, {"state": "RUNNING"})
        if view.examples > self._examples:
            self._examples_total.inc(view.examples - self._examples)
            self._examples = view.examples
        numbers = {
            "sweep_budget_trials": view.budget,
            "sweep_best_value": view.best.value if view.best is not None else None,
            "sweep_examples_per_second": view.examples_per_s,
            "sweep_lanes": view.lanes,
            "sweep_lanes_busy": view.lanes_busy,
            "sweep_slots": view.slots,
            "sweep_slots_busy": view.slots_busy,
            "sweep_queue": view.waiting,
            "sweep_faults": view.faults,
        }
        for name, number in numbers.items():
            if number is not None:
                self._gauges[name].set(number)


def _gauge(name: str, text: str, study: str, metric: str) -> Gauge:
    tags = {"study": study, **({"metric": metric} if name == "sweep_best_value" else {})}
    gauge = Gauge(name, text, tag_keys=tuple(tags))
    gauge.set_default_tags(tags)
    return gauge


def _where() -> str:
    """The dashboard's address, how to log in, and the endpoint's address, for a person."""
    address = init(ignore_reinit_error=True, logging_level=logging.ERROR).address_info  # the one there is
    metrics = f"metrics: http://{address['node_ip_address']}:{address['metrics_export_port']}/metrics"
    if not address.get("webui_url"):
        return f"Ray's dashboard does not run; {metrics}"
    login = ""
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "token":
        own, cluster = Path(sys.executable).with_name("ray"), os.environ.get("RAY_AUTH_TOKEN_PATH")
        command = f"cat {cluster}" if cluster else f"{own} get-auth-token"
        login = f" (it asks for a token: paste what `{command}` prints)"
    return f"Ray's dashboard: http://{address['webui_url']}{login}; {metrics}"
