"""The classes that one section of a study file may name: ours by a short name, any other by its path.

Samplers, pruners, terminators, loggers and executors each have a registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

from configfile import nearest
from configfile.yamlfile import Document, Path
from sweep.errors import Problem, SpecError
from sweep.spec.named import classes


class Registered(NamedTuple):
    """A class of ours, or where it is imported from, the packages that it needs, and the extra with them."""

    target: type[Any] | str
    packages: tuple[str, ...] = ()
    extra: str = "samplers"


@dataclass(frozen=True)
class Registry:
    """Classes by name.

    A class of the user's own must be a subclass of `base`, and have all attributes in `attributes`;
    without `open` there is none.
    """

    kind: str
    entries: Mapping[str, Registered]
    base: type[Any] = object
    attributes: tuple[str, ...] = ()
    open: bool = True

    def find(self, document: Document, path: Path, name: object) -> type[Any]:
        """The class. Raises SpecError where there is none, or what it needs is not installed."""
        if isinstance(name, str) and name in self.entries:
            return self._ours(document, path, name)
        if not isinstance(name, str) or not self.open or ":" not in name:
            other = ", or package.module:Class" if self.open else ""
            what = f"must be one of {', '.join(self.entries)}{other}"
            raise SpecError([document.problem(path, what, None, nearest.remedy(name, self.entries))])
        cls = classes.load_class(document, path, name)
        if lacking := self._lacking(cls):
            raise SpecError([document.problem(path, f"{name} is no {self.kind}: {lacking}", "")])
        return cls

    def _ours(self, document: Document, path: Path, name: str) -> type[Any]:
        target, packages, extra = self.entries[name]
        if missing := [package for package in packages if find_spec(package) is None]:
            raise SpecError([_not_installed(document, path, name, " and ".join(missing), extra)])
        if not isinstance(target, str):
            return target
        try:
            return classes.load_class(document, path, target)
        except SpecError as error:
            if isinstance(cause := error.__cause__, ModuleNotFoundError):
                missing_package = cause.name or name
                raise SpecError([_not_installed(document, path, name, missing_package, extra)]) from error
            raise

    def _lacking(self, cls: type[Any]) -> str:
        if not issubclass(cls, self.base):
            return f"it is no subclass of {self.base.__module__.partition('.')[0]}'s {self.base.__name__}"
        missing = [name for name in self.attributes if not hasattr(cls, name)]
        return f"it has no {', '.join(missing)}" if missing else ""


def _not_installed(document: Document, path: Path, name: str, package: str, extra: str) -> Problem:
    what = f"{name} needs {package}, not installed here"
    return document.problem(path, what, "", f"run: pip install 'sweep-mlx[{extra}]'")
