"""Sweep files of W&B: program, method, metric, parameters, early_terminate, command."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any

from sweep.api.importing import entries
from sweep.api.importing.arguments import Argument, escaped, options
from sweep.api.importing.drafts import Draft, ImportFault

KIND = "a sweep file of W&B"

SAMPLERS = {"bayes": "tpe", "random": "random", "grid": "grid"}

GUESS = 50
"""Trials where the file gives no number."""

SILENT = ("program", "method", "metric", "parameters", "early_terminate", "command", "run_cap", "name")
"""What is read; all other keys are named."""

ELSEWHERE = ("project", "entity", "description")
"""What belongs to their server."""


def is_one(values: Mapping[str, Any]) -> bool:
    """Whether the keys are those of such a file."""
    return isinstance(values.get("parameters"), Mapping) and bool({"method", "program"} & values.keys())


def draft(values: Mapping[str, Any], *, name: str, program: str | None) -> Draft:
    """The study. Raises ImportFault."""
    made = Draft(KIND)
    space, fixed = _parameters(values["parameters"], made)
    if not space:
        raise ImportFault("parameters: every one is a constant, so there is nothing to search. Add a range")
    made.put("name", str(values.get("name") or name).replace(" ", "-"))
    made.put("command", _command(values, [*space, *fixed], made, program))
    objective = _objective(values, made)
    shown = f'{{"examples": 100, "{objective["metric"]}": 0.5}}'
    made.put("objective", objective, f"print JSON lines such as {shown}")
    made.put("space", space)
    if fixed:
        made.put("fixed", fixed)
    method = str(values.get("method", "bayes"))
    if method not in SAMPLERS:
        raise ImportFault(f"method: {method} is none of bayes, random and grid. Choose one of them")
    made.put("sampler", {"name": _sampler(SAMPLERS[method], space, made)})
    _early(values.get("early_terminate"), made)
    _budget(values, space, made)
    for key in values.keys() - {*SILENT, *ELSEWHERE}:
        made.note(f"{key}: is left out, a study file has nothing like it")
    return made


def _parameters(
    given: Mapping[str, Any], made: Draft, prefix: str = ""
) -> tuple[dict[str, entries.Entry], dict[str, Any]]:
    space: dict[str, entries.Entry] = {}
    fixed: dict[str, Any] = {}
    for name, each in given.items():
        path = f"{prefix}{name}"
        each = each if isinstance(each, Mapping) else {"value": each}
        if isinstance(inner := each.get("parameters"), Mapping):
            more, also = _parameters(inner, made, f"{path}.")
            space |= more
            fixed |= also
        elif "value" in each:
            fixed[path] = _scalar(path, each["value"], made)
        elif isinstance(values := each.get("values"), list):
            if "probabilities" in each:
                made.note(f"{path}: its probabilities are left out: each value is as likely as another")
            listed = entries.choices([_scalar(path, value, made) for value in values])
            if len(listed["choices"]) == 1:
                fixed[path] = listed["choices"][0]
            else:
                space[path] = listed
        else:
            space[path] = _range(path, each, made)
    return space, fixed


def _scalar(path: str, value: Any, made: Draft) -> Any:
    if isinstance(value, list | Mapping):
        made.note(f"{path}: a list or a mapping is written as text, which the program gets as one argument")
        return str(value).replace("'", '"')
    return value


def _range(path: str, each: Mapping[str, Any], made: Draft) -> entries.Entry:
    """A distribution; without its name W&B takes integers for bounds that are integers."""
    kind = str(each.get("distribution", ""))
    if {"mu", "sigma"} & each.keys() or "normal" in kind:
        return _normal(path, kind, each, made)
    if "min" not in each or "max" not in each:
        raise ImportFault(f"parameters.{path}: has neither values nor both of min and max. Add them")
    low, high = entries.number(path, each["min"]), entries.number(path, each["max"])
    q = float(each.get("q", 1))
    q = int(q) if q.is_integer() else q
    if not kind:
        kind = "int_uniform" if isinstance(low, int) and isinstance(high, int) else "uniform"
    if "log_uniform" in kind and not kind.endswith("_values"):  # its bounds are exponents of e
        low, high = (-high, -low) if kind.startswith("inv_") else (low, high)
        low, high = _rounded(math.exp(low)), _rounded(math.exp(high))
    if kind.startswith("q_log"):
        return entries.quantised_log(low, high, q)
    if "log_uniform" in kind:
        return entries.uniform(low, high, log=True)
    if kind == "int_uniform":
        return entries.integers(low, high)
    if kind == "q_uniform":
        return entries.quantised(low, high, q)
    if kind != "uniform":
        made.note(f"{path}: {kind} is written as a uniform range")
    return entries.uniform(low, high)


def _normal(path: str, kind: str, each: Mapping[str, Any], made: Draft) -> entries.Entry:
    mean, deviation = entries.number(path, each.get("mu", 0)), entries.number(path, each.get("sigma", 1))
    span = f"{entries.DEVIATIONS} standard deviations to each side"
    if "log" in kind:
        made.note(f"{path}: {kind} is written as a log range, {span}")
        wide = entries.DEVIATIONS * deviation
        return entries.uniform(_rounded(math.exp(mean - wide)), _rounded(math.exp(mean + wide)), log=True)
    made.note(f"{path}: {kind or 'normal'} is written as a range, {span}")
    return entries.normal(mean, deviation, float(each.get("q", 1)) if kind.startswith("q_") else None)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _command(values: Mapping[str, Any], names: list[str], made: Draft, program: str | None) -> list[Argument]:
    script = program or str(values.get("program") or "train.py")
    if program is None and "program" not in values:
        made.note("program: the file names none, train.py is a guess")
    given = values.get("command") or ["${env}", "python", "${program}", "${args}"]
    given = shlex.split(given) if isinstance(given, str) else given
    out: list[Argument] = []
    for each in map(str, given):
        match each:
            case "${env}" | "/usr/bin/env":
                continue
            case "${interpreter}":
                out.append("python")
            case "${program}":
                out.append(script)
            case "${args}":
                out += options(names)
            case "${args_no_hyphens}":
                out += options(names, dashes="")
            case "${args_no_boolean_flags}":
                out += options(names)
                made.note("command: true and false are written as --name=true and --name=false")
            case "${args_json}" | "${args_json_file}":
                out.append("{params}")
                made.note("command: hyperparameters come in a JSON file, whose path is the argument")
            case _ if each.startswith("${envvar:"):
                made.note(f"command: {each} is left out; give it in `environment`")
            case _:
                out.append(escaped(each))
    return out


def _objective(values: Mapping[str, Any], made: Draft) -> dict[str, str]:
    metric = values.get("metric") or {}
    if not isinstance(metric, Mapping) or "name" not in metric:
        made.note("metric: the file names none, `loss` to be minimized is a guess")
        return {"metric": "loss", "direction": "minimize"}
    if "target" in metric:
        made.put("stop", {"target": metric["target"]}, "W&B ends the sweep there, too")
    if "impute" in metric:
        made.note("metric.impute: is left out; `diverged` says what the sampler is told of failed trials")
    return {"metric": str(metric["name"]), "direction": str(metric.get("goal", "minimize"))}


def _sampler(name: str, space: Mapping[str, entries.Entry], made: Draft) -> str:
    open_ranges = [
        key for key, each in space.items() if isinstance(each.get("low"), float) and "step" not in each
    ]
    if name == "grid" and open_ranges:
        made.note(f"method: a grid cannot list {open_ranges[0]}; written as random")
        return "random"
    return name


def _early(given: Any, made: Draft) -> None:
    """Hyperband of W&B is asynchronous halving, with brackets."""
    if not isinstance(given, Mapping):
        return
    eta = int(given.get("eta", 3))
    if given.get("max_iter"):
        made.put("trial", {"length": {"examples": int(given["max_iter"])}}, "max_iter: in iterations")
        made.put("pruner", {"name": "hyperband", "reduction_factor": eta})
    else:
        least = int(given.get("min_iter", 1))
        made.put(
            "pruner",
            {"name": "successive_halving", "min_resource": least, "reduction_factor": max(eta, 2)},
            "min_iter: in reports' `examples`",
        )
    if "s" in given or "strict" in given:
        made.note("early_terminate: s and strict are left out; brackets follow from the numbers")


def _budget(values: Mapping[str, Any], space: Mapping[str, entries.Entry], made: Draft) -> None:
    sizes = [len(each["choices"]) if "choices" in each else _count(each) for each in space.values()]
    if values.get("run_cap"):
        made.put("budget", {"trials": int(values["run_cap"])})
    elif made.values["sampler"]["name"] == "grid":
        made.put("budget", {"trials": math.prod(sizes)}, "every point of the grid once")
    else:
        made.put("budget", {"trials": GUESS}, "W&B runs until it is stopped: choose a number")


def _count(entry: entries.Entry) -> int:
    step = entry.get("step", 1 if isinstance(entry["low"], int) else None)
    return 1 if step is None else round((entry["high"] - entry["low"]) / step) + 1
