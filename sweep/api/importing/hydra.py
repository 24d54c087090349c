"""Configs of Hydra's sweepers: `hydra.sweeper` in a config, or a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.api.importing import entries, hydra_sweepers
from sweep.api.importing.arguments import Argument
from sweep.api.importing.drafts import HERE, Draft, ImportFault
from sweep.api.importing.hydra_sweepers import Sweep

KIND = "a config of a Hydra sweeper"


def is_one(values: Mapping[str, Any]) -> bool:
    """Whether the keys are those of such a file."""
    return _sweeper(values) is not None


def _sweeper(values: Mapping[str, Any]) -> Mapping[str, Any] | None:
    hydra = values.get("hydra")
    found = hydra.get("sweeper") if isinstance(hydra, Mapping) else values.get("hydra.sweeper")
    if isinstance(found, Mapping):
        return found
    is_group = "weeper" in str(values.get("_target_", ""))  # of the folder hydra/sweeper
    return values if is_group or {"ax_config", "parametrization"} & values.keys() else None


def draft(values: Mapping[str, Any], *, name: str, program: str | None) -> Draft:
    """The study. Raises ImportFault."""
    made = Draft(KIND)
    sweeper = _sweeper(values) or {}
    found = hydra_sweepers.read(sweeper, _chosen(values), made)
    if not found.space:
        raise ImportFault("hydra.sweeper.params: every one is a constant. Add a range or a choice")
    if program is None:
        made.note("the program: a config names none, main.py is a guess (pass --program SCRIPT)")
    made.put("name", str(sweeper.get("study_name") or name).replace(" ", "-"))
    if found.seed is not None:
        made.put("seed", found.seed)
    made.put("command", _command(program or "main.py", found))
    made.put("working_directory", ".", HERE)
    made.put("objective", _objective(found), 'what main() returned: print it, {"value": ...} on one line')
    made.note("the objective: a command prints what a function of Hydra's returned")
    made.put("space", found.space)
    if found.fixed:
        made.put("fixed", found.fixed)
    made.put("sampler", found.sampler)
    made.put("budget", {"trials": found.trials})
    return made


def _chosen(values: Mapping[str, Any]) -> dict[str, str]:
    """The sweeper and the sampler that the defaults choose."""
    chosen = {}
    for default in entries.listed("defaults", values.get("defaults")):
        for key, value in default.items() if isinstance(default, Mapping) else ():
            if "hydra/sweeper" in str(key):
                chosen["sampler" if "sweeper/sampler" in str(key) else "sweeper"] = str(value)
    return chosen


def _command(program: str, found: Sweep) -> list[Argument]:
    names = [*found.space, *found.fixed]
    return [
        "python",
        program,
        *(f"{found.spelled[name]}={{{name}}}" for name in names),
        "hydra.run.dir={folder}",
    ]


def _objective(found: Sweep) -> Any:
    if len(found.directions) == 1:
        return {"metric": "value", "direction": found.directions[0]}
    return [{"metric": f"value_{place}", "direction": each} for place, each in enumerate(found.directions)]
