"""Configs of Hydra's Optuna sweeper: `hydra.sweeper` with params, or the older search_space."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from sweep.api.importing import entries
from sweep.api.importing.arguments import Argument
from sweep.api.importing.drafts import Draft, ImportFault

KIND = "a config of Hydra's Optuna sweeper"

SAMPLERS = {
    "TPESampler": "tpe",
    "RandomSampler": "random",
    "CmaEsSampler": "cmaes",
    "NSGAIISampler": "nsgaii",
    "GridSampler": "grid",
    "GPSampler": "gp",
    "QMCSampler": "qmc",
    "MOTPESampler": "tpe",
}
SHORT = {
    "tpe": "tpe",
    "random": "random",
    "cmaes": "cmaes",
    "nsgaii": "nsgaii",
    "motpe": "tpe",
    "grid": "grid",
}

READ = {"sampler", "direction", "study_name", "n_trials", "params", "search_space"}
OURS = {"_target_", "storage", "n_jobs"}
"""What a study does by itself, or says elsewhere."""


def is_one(values: Mapping[str, Any]) -> bool:
    """Whether the keys are those of such a file."""
    return _sweeper(values) is not None


def _sweeper(values: Mapping[str, Any]) -> Mapping[str, Any] | None:
    hydra = values.get("hydra")
    found = hydra.get("sweeper") if isinstance(hydra, Mapping) else values.get("hydra.sweeper")
    return found if isinstance(found, Mapping) else None


def draft(values: Mapping[str, Any], *, name: str, program: str | None) -> Draft:
    """The study. Raises ImportFault."""
    made = Draft(KIND)
    sweeper = _sweeper(values) or {}
    given = sweeper.get("params") or sweeper.get("search_space")
    if not isinstance(given, Mapping) or not given:
        raise ImportFault("hydra.sweeper.params: is missing, so there is nothing to search. Add it")
    space: dict[str, entries.Entry] = {}
    fixed: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for key, each in given.items():
        path = str(key).lstrip("+~")
        spelled[path] = str(key)
        entry = _typed(path, each) if isinstance(each, Mapping) else _override(path, str(each), made)
        if set(entry) == {"fixed"}:
            fixed[path] = entry["fixed"]
        else:
            space[path] = entry
    if not space:
        raise ImportFault("hydra.sweeper.params: every one is a constant. Add a range or a choice")
    script = program or "main.py"
    if program is None:
        made.note("the program: a config names none, main.py is a guess (pass --program SCRIPT)")
    command: list[Argument] = ["python", script]
    command += [f"{spelled[path]}={{{path}}}" for path in [*space, *fixed]]
    command += ["hydra.run.dir={folder}"]
    made.put("name", str(sweeper.get("study_name") or name).replace(" ", "-"))
    made.put("command", command)
    made.put("objective", _objective(sweeper), 'what main() returned: print it, {"value": ...} on one line')
    made.note("the objective: a command prints what a function of Hydra's returned")
    made.put("space", space)
    if fixed:
        made.put("fixed", fixed)
    made.put("sampler", _sampler(values, sweeper, made))
    made.put("budget", {"trials": int(sweeper.get("n_trials", 20))})
    for key in sweeper.keys() - READ - OURS:
        made.note(f"hydra.sweeper.{key}: is left out, a study file has nothing like it")
    return made


def _objective(sweeper: Mapping[str, Any]) -> Any:
    direction = sweeper.get("direction", "minimize")
    if isinstance(direction, list):
        return [{"metric": f"value_{place}", "direction": str(each)} for place, each in enumerate(direction)]
    return {"metric": "value", "direction": str(direction)}


def _sampler(values: Mapping[str, Any], sweeper: Mapping[str, Any], made: Draft) -> dict[str, Any]:
    given = sweeper.get("sampler")
    named = ""
    for default in values.get("defaults") or []:
        if isinstance(default, Mapping):
            for key, value in default.items():
                named = str(value) if "sweeper/sampler" in str(key) else named
    if isinstance(given, Mapping) and "_target_" in given:
        named = str(given["_target_"]).rpartition(".")[2]
    name = SAMPLERS.get(named) or SHORT.get(named)
    if name is None:
        if named:
            made.note(f"hydra.sweeper.sampler: {named} is not known here, tpe is used")
        name = "tpe"
    if isinstance(given, Mapping):
        if isinstance(given.get("seed"), int):
            made.put("seed", given["seed"])
        own = [key for key in given if key not in ("_target_", "seed")]
        kept = {
            key: given[key]
            for key in own
            if key in ("n_startup_trials", "multivariate", "group", "constant_liar", "population_size")
            and given[key] is not None
        }
        for key in own:
            if key not in kept and given[key] is not None:
                made.note(f"hydra.sweeper.sampler.{key}: is left out; arguments may be added to `sampler`")
        return {"name": name, **kept}
    return {"name": name}


def _typed(path: str, each: Mapping[str, Any]) -> entries.Entry:
    """The older way: {type: float, low, high, step, log}."""
    kind = each.get("type")
    if kind == "categorical":
        return entries.choices(list(each.get("choices") or []))
    if "low" not in each or "high" not in each:
        raise ImportFault(f"hydra.sweeper.search_space.{path}: needs low and high. Add them")
    low, high = entries.number(path, each["low"]), entries.number(path, each["high"])
    log, step = bool(each.get("log", False)), each.get("step")
    if kind == "int":
        return entries.integers(low, high, log=log, step=int(step or 1))
    if step and not log:
        return entries.stepped(low, high, float(step))
    return entries.uniform(low, high, log=log)


CALL = re.compile(r"^\s*(\w+)\((.*)\)\s*$", re.DOTALL)


def _override(path: str, text: str, made: Draft) -> entries.Entry:
    """Hydra's words: range(1, 5, step=2), interval(0, 1), choice(a, b), tag(log, ...), int(...)."""
    log, whole = False, False
    while (found := CALL.match(text)) and found[1] in ("tag", "int", "float", "shuffle", "sort"):
        inner = _split(found[2])
        if found[1] == "tag":
            log = log or "log" in inner[:-1]
            unknown = [tag for tag in inner[:-1] if tag != "log"]
            if unknown:
                made.note(f"{path}: tag({', '.join(unknown)}) is left out")
            text = inner[-1]
        else:
            whole = whole or found[1] == "int"
            text = inner[0]
    if found is None:
        listed = _split(text)
        if len(listed) > 1:
            return entries.choices([_word(each) for each in listed])
        return {"fixed": _word(text.strip())}
    kind, inner = found[1], _split(found[2])
    if kind == "choice":
        return entries.choices([_word(each) for each in inner])
    if kind not in ("range", "interval"):
        raise ImportFault(
            f"hydra.sweeper.params.{path}: {kind}(...) is not known here. Write range or interval"
        )
    given = {}
    for place, each in enumerate(inner):
        key, is_named, value = each.partition("=")
        names = ("start", "stop", "step") if kind == "range" else ("start", "end", "")
        given[key.strip() if is_named else names[place]] = entries.number(
            path, _word(value if is_named else each)
        )
    if kind == "range" and "stop" not in given:  # range(8) begins at 0
        given = {**given, "start": 0, "stop": given["start"]}
    low, step = given.get("start", 0), given.get("step", 1)
    high = given.get("end", given.get("stop", low))
    if whole or all(isinstance(each, int) for each in given.values()):
        return entries.integers(low, high, log=log, step=1 if log else int(step))
    if kind == "interval":
        return entries.uniform(low, high, log=log)
    return entries.stepped(low, high, step)


def _split(text: str) -> list[str]:
    """Parts between commas that stand in no brackets and no quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def _word(text: str) -> Any:
    """A value as Hydra reads it: a number, true, null, quoted text, or a word."""
    text = text.strip()
    known = {"true": True, "false": False, "null": None}
    if text.lower() in known:
        return known[text.lower()]
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    if text[:1] in "'\"" and text[:1] == text[-1:] and len(text) > 1:
        return ast.literal_eval(text)
    return text
