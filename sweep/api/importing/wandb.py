"""Sweep files of W&B: program, method, metric, parameters, early_terminate, command."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from sweep.api.importing import entries
from sweep.api.importing.arguments import Argument, escaped, options
from sweep.api.importing.drafts import HERE, Draft, ImportFault

KIND = "a sweep file of W&B"

VARIABLE = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
MACRO = re.compile(r"\$\{\w+\}")

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
    made.put("working_directory", ".", HERE)
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
    for key in sorted(map(str, values.keys() - {*SILENT, *ELSEWHERE})):
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
        elif "beta" in str(each.get("distribution")):
            made.note(f"{path}: {each['distribution']} is written as a uniform range from 0 to 1")
            space[path] = entries.uniform(0.0, 1.0)
        else:
            space[path] = _range(path, each, made)
    return space, fixed


def _scalar(path: str, value: Any, made: Draft) -> Any:
    if isinstance(value, list | Mapping):
        made.note(f"{path}: a list or a mapping is written as text, which the program gets as one argument")
    if isinstance(value, bool):
        made.note("true and false reach the program in small letters; W&B wrote True and False")
    return entries.scalar(value)


def _range(path: str, each: Mapping[str, Any], made: Draft) -> entries.Entry:
    """A distribution; without its name W&B takes integers for bounds that are integers."""
    kind = str(each.get("distribution", ""))
    if {"mu", "sigma"} & each.keys() or "normal" in kind:
        return _normal(path, kind, each, made)
    if "min" not in each or "max" not in each:
        raise ImportFault(f"parameters.{path}: has neither values nor both of min and max. Add them")
    low, high = entries.number(path, each["min"]), entries.number(path, each["max"])
    q = entries.positive(f"parameters.{path}.q", each.get("q", 1))
    if not kind:
        kind = "int_uniform" if isinstance(low, int) and isinstance(high, int) else "uniform"
    if "log_uniform" in kind and not kind.endswith("_values"):  # its bounds are exponents of e
        low, high = (-high, -low) if kind.startswith("inv_") else (low, high)
        low, high = _exp(path, low), _exp(path, high)
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
    q = entries.positive(f"parameters.{path}.q", each.get("q", 1)) if kind.startswith("q_") else None
    span = f"{entries.DEVIATIONS} standard deviations to each side"
    if "log" in kind:
        made.note(f"{path}: {kind} is written as a log range, {span}")
        wide = entries.DEVIATIONS * deviation
        low, high = _exp(path, mean - wide), _exp(path, mean + wide)
        return entries.uniform(low, high, log=True) if q is None else entries.quantised_log(low, high, q)
    made.note(f"{path}: {kind or 'normal'} is written as a range, {span}")
    return entries.normal(mean, deviation, q)


def _exp(path: str, value: float) -> float:
    try:
        return float(f"{math.exp(value):.6g}")
    except OverflowError:
        raise ImportFault(
            f"parameters.{path}: {value:g} is an exponent of e, and too large. "
            "Write log_uniform_values where it is a bound"
        ) from None


def _command(values: Mapping[str, Any], names: list[str], made: Draft, program: str | None) -> list[Argument]:
    script = program or str(values.get("program") or "train.py")
    if program is None and "program" not in values:
        made.note("program: the file names none, train.py is a guess")
    given = values.get("command") or ["${env}", "python", "${program}", "${args}"]
    out: list[Argument] = []
    for each in entries.words("command", given):
        match each:
            case "${env}" | "/usr/bin/env":
                continue
            case _ if not out and (found := VARIABLE.fullmatch(each)):  # an argument of env
                variables = made.values.setdefault("environment", {})
                variables[found[1]] = escaped(found[2])
            case "${interpreter}":
                out.append("python")
            case "${program}":
                out.append(script)
            case "${args}":
                out += options(names)
            case "${args_no_hyphens}":
                out += options(names, dashes="")
            case "${args_append_hydra}":
                out += options(names, dashes="+")
            case "${args_no_equals}":
                out += [[f"--{name}", f"{{{name}}}"] for name in names]
            case "${args_no_boolean_flags}":
                out += options(names)
                made.note("command: true and false are written as --name=true and --name=false")
            case "${args_json}" | "${args_json_file}":
                out.append("{params}")
                made.note("command: hyperparameters come in a JSON file, whose path is the argument")
            case _ if "${envvar:" in each:
                made.note(f"command: {each} is left out; no shell reads the command. Write its value")
            case _ if MACRO.fullmatch(each):
                made.note(f"command: {each} is not known here and left out")
            case _:
                out.append(escaped(each))
    return out


def _objective(values: Mapping[str, Any], made: Draft) -> dict[str, str]:
    metric = values.get("metric") or {}
    metric = {"name": metric} if isinstance(metric, str) else metric
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
    if not isinstance(given, Mapping) or given.get("type", "hyperband") != "hyperband":
        if given:
            made.note("early_terminate: is not known here and left out; `pruner` ends trials early")
        return
    eta = max(2, entries.whole("early_terminate.eta", given.get("eta", 3)))
    if given.get("max_iter"):
        longest = entries.whole("early_terminate.max_iter", given["max_iter"])
        made.put("trial", {"length": {"examples": longest}}, "max_iter: in iterations")
        made.put("pruner", {"name": "hyperband", "reduction_factor": eta})
    else:
        least = entries.whole("early_terminate.min_iter", given.get("min_iter", 1))
        made.put(
            "pruner",
            {"name": "successive_halving", "min_resource": least, "reduction_factor": eta},
            "min_iter: in reports' `examples`",
        )
    if "s" in given or "strict" in given:
        made.note("early_terminate: s and strict are left out; brackets follow from the numbers")


def _budget(values: Mapping[str, Any], space: Mapping[str, entries.Entry], made: Draft) -> None:
    sizes = [entries.count(each) for each in space.values()]
    if values.get("run_cap"):
        made.put("budget", {"trials": entries.whole("run_cap", values["run_cap"])})
    elif made.values["sampler"]["name"] == "grid":
        made.put("budget", {"trials": math.prod(sizes)}, "every point of the grid once")
    else:
        made.put("budget", {"trials": GUESS}, "W&B runs until it is stopped: choose a number")
