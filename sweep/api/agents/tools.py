"""What agents may ask: each method is a tool, its docstring what they read, its answer plain JSON values."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from sweep.api.agents import launching
from sweep.api.check import check
from sweep.api.compare import compare
from sweep.api.exporting.tables import export
from sweep.api.list_runs import list_runs
from sweep.api.show import read_trial
from sweep.api.status import read_status
from sweep.api.steering import verbs
from sweep.api.steering.asking import Asked
from sweep.errors import RunDirError, SweepError

MOST_ROWS = 500
"""How many rows of a table, or reports of a trial, one answer holds."""


class Reading:
    """Tools that change nothing. `runs` holds the run directories; a run is named by its folder's name."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs

    def listed(self) -> list[dict[str, Any]]:
        """List the runs: name, state, trials by state, best trial, or the problem of one that is damaged."""
        return [
            {
                "run": each.path.name,
                "problem": each.problem,
                **(_brief(asdict(each.status)) if each.status is not None else {}),
            }
            for each in (list_runs(self._runs) if self._runs.is_dir() else ())
        ]

    def status(self, run: str) -> dict[str, Any]:
        """Say how a run stands, while it runs or after: trials by state, budget, best trial, last messages.

        `pid` is the process that runs it, null where none does; `closed` is why the last session ended.
        """
        return asdict(read_status(self.run_dir(run)))

    def best(self, run: str) -> dict[str, Any]:
        """Give a run's best trial: its number, its objective's values by name, its hyperparameters."""
        status = read_status(self.run_dir(run))
        if status.best is None:
            raise RunDirError(f"{run}: no trial is complete yet. Ask for its status")
        metrics = [metric for metric, _ in status.objectives]
        return {
            "trial": status.best.number,
            "values": dict(zip(metrics, status.best.values, strict=True)),
            "directions": dict(status.objectives),
            "hyperparameters": dict(read_trial(self.run_dir(run), status.best.number).trial.hyperparameters),
        }

    def show(self, run: str, trial: int) -> dict[str, Any]:
        """Show one trial by its number: hyperparameters, reports, why it failed, ledger, checkpoints.

        Of many reports it gives the last 500; `total_reports` says how many there are.
        """
        found = read_trial(self.run_dir(run), trial).as_json()
        reports = found["reports"]
        return {**found, "reports": reports[-MOST_ROWS:], "total_reports": len(reports)}

    def compare(self, runs: list[str]) -> dict[str, Any]:
        """Hold runs side by side, two or more: best values at equal trials, how their studies differ."""
        return compare([self.run_dir(run) for run in runs]).as_json()

    def tables(
        self,
        run: str,
        table: Literal["trials", "metrics", "checkpoints"] = "trials",
        first: int = 0,
        count: int = 100,
    ) -> dict[str, Any]:
        """Give rows of a run's table: trials, metrics (one row per report) or checkpoints.

        `first` counts from 0; `count` is at most 500. `total` says how many rows there are.
        """
        rows = json.loads(export(self.run_dir(run), table, "json").data)
        first, count = max(0, first), min(max(0, count), MOST_ROWS)
        return {"table": table, "total": len(rows), "first": first, "rows": rows[first : first + count]}

    def check(self, study: str) -> dict[str, Any]:
        """Check a study file by its path: what would run, or all that is wrong, with line and remedy.

        Nothing is trained, but the task that it names is loaded.
        """
        return check(Path(study)).as_json()

    def run_dir(self, name: str) -> Path:
        """The run directory of a name; not one of another folder."""
        if Path(name).name != name or name in ("", ".", ".."):
            raise SweepError(f"{name}: is no name of a run. Give one of those that list gives")
        return self._runs / name


class Starting:
    """Tools that start studies and steer runs, which only `--allow-start` gives."""

    def __init__(self, runs: Path, reading: Reading) -> None:
        self._runs = runs
        self._reading = reading

    def start(self, study: str, trials: int | None = None) -> dict[str, Any]:
        """Start a study, or resume it, in the background; it outlives this server.

        `study` is the path of its file, `trials` a total instead of the file's. Ask for its status after.
        """
        found = launching.launch(Path(study), runs=self._runs, trials=trials)
        return {"run": found.run_dir.name, "pid": found.pid, "output": str(found.output)}

    def stop(self, run: str) -> dict[str, Any]:
        """Stop a run: what runs is saved, and `start` resumes it. Ask for its status until it has ended."""
        return self._answer(verbs.stop(self._reading.run_dir(run)))

    def pause(self, run: str) -> dict[str, Any]:
        """Pause a run: trials are saved, workers end and give their memory back, its process waits."""
        return self._answer(verbs.pause(self._reading.run_dir(run)))

    def resume(self, run: str) -> dict[str, Any]:
        """Let a paused run train again; one that was stopped is resumed by `start`."""
        return self._answer(verbs.resume(self._reading.run_dir(run)))

    def set(self, run: str, values: dict[str, Any]) -> dict[str, Any]:
        """Change keys of a run's study by their paths, such as {"budget.trials": 200}; null unsets one.

        Keys are budget.trials, budget.time, max_concurrent, lanes, and those of stop, checkpoints, failures.
        """
        return self._answer(verbs.set_(self._reading.run_dir(run), values))

    def enqueue(self, run: str, point: dict[str, Any]) -> dict[str, Any]:
        """Have a run try a point next: hyperparameters by name; the sampler fills in what is left open."""
        return self._answer(verbs.enqueue(self._reading.run_dir(run), point))

    def prune(self, run: str, trial: int) -> dict[str, Any]:
        """End a trial as PRUNED."""
        return self._answer(verbs.prune(self._reading.run_dir(run), trial))

    def finish(self, run: str, trial: int) -> dict[str, Any]:
        """End a trial as COMPLETE where it stands: its last report's value, its checkpoint."""
        return self._answer(verbs.finish(self._reading.run_dir(run), trial))

    def note(self, run: str, text: str, trial: int | None = None) -> dict[str, Any]:
        """Write a note on a run, or on a trial of it, while it runs or after."""
        return self._answer(verbs.note(self._reading.run_dir(run), text, trial=trial))

    def tag(self, run: str, tag: str, trial: int | None = None, remove: bool = False) -> dict[str, Any]:
        """Tag a run, or a trial of it; the tag `star` keeps a trial's checkpoints."""
        return self._answer(verbs.tag(self._reading.run_dir(run), tag, trial=trial, remove=remove))

    def _answer(self, asked: Asked) -> dict[str, Any]:
        """With `answered` false the run is busy: its status has the answer later."""
        return {**asked.as_json(), "run": Path(asked.run).name}


def _brief(status: dict[str, Any]) -> dict[str, Any]:
    return {key: status[key] for key in ("pid", "closed", "trials", "budget_trials", "objectives", "best")}
