"""Samplers of OptunaHub: `optunahub:NAME`, where its package is installed.

The package fetches a sampler's code once, from https://hub.optuna.org, and keeps it.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

import optuna

PREFIX = "optunahub:"


class HubError(Exception):
    """A sampler of OptunaHub could not be loaded; the message says why, `remedy` what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


@cache
def sampler_class(name: str) -> type[optuna.samplers.BaseSampler]:
    """The class that `optunahub:PACKAGE` names, or `optunahub:PACKAGE:Class`. Raises HubError."""
    package, _, wanted = name.removeprefix(PREFIX).partition(":")
    module = _module(package)
    found = {each.__name__: each for each in vars(module).values() if _is_sampler(each)}
    public = [each for each in getattr(module, "__all__", found) if each in found]
    if wanted and wanted not in found:
        raise HubError(f"{package} of OptunaHub has no sampler {wanted}", _known(public, package))
    if not wanted and len(public) != 1:
        count = "several samplers" if public else "no sampler"
        raise HubError(f"{package} of OptunaHub has {count}", _known(public, package))
    chosen: type[optuna.samplers.BaseSampler] = found[wanted or public[0]]
    return chosen


def _known(names: list[str], package: str) -> str:
    listed = " or ".join(f"{PREFIX}{package}:{name}" for name in names)
    return f"write {listed}" if names else "choose another one from https://hub.optuna.org"


def _is_sampler(value: object) -> bool:
    """Whether a module's content is a sampler of its own, and not one that it imports from Optuna."""
    return (
        isinstance(value, type)
        and issubclass(value, optuna.samplers.BaseSampler)
        and not value.__module__.startswith("optuna.")
        and not value.__module__.startswith("optunahub.")
    )


def _module(package: str) -> ModuleType:
    try:
        hub = importlib.import_module("optunahub")
    except ModuleNotFoundError as error:
        what = f"{package} of OptunaHub needs {error.name}, not installed here"
        raise HubError(what, f"run: pip install {error.name}") from error
    try:
        module: ModuleType = hub.load_module(f"samplers/{package}")
    except ModuleNotFoundError as error:
        what = f"{package} of OptunaHub needs {error.name}, not installed here"
        raise HubError(what, f"run: pip install {error.name}") from error
    except Exception as error:  # of git, of GitHub, or of the network, whichever the package goes by
        lines = [line.strip(" '") for line in str(error).splitlines() if line.strip(" '")]
        reason = lines[-1].removeprefix("stderr: '") if lines else type(error).__name__
        what = f"{package} cannot be fetched from OptunaHub: {reason}"
        remedy = "check its name on https://hub.optuna.org, and the network; what was fetched once is kept"
        raise HubError(what, remedy) from error
    return module
