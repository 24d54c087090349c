"""A class or function of a notebook or a script, with all that it needs, as a module of its own.

Other definitions of the notebook come along as their sources, plain values and arrays as they are now, all
else by being imported. What cannot come along is an error that names it.
"""

from __future__ import annotations

import builtins
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlog import layout
from sweep.api.python import values
from sweep.api.python.pieces import NoSourceError, Piece, dotted_names, global_names, piece_of
from sweep.driver.task_source import TaskSource

if TYPE_CHECKING:
    import numpy as np

MODULE = f"{layout.TASK}/cell.py"
ARRAYS = f"{layout.TASK}/arrays.npz"
LINES = f"{layout.TASK}/cell.lines"
"""Which lines of the module were written where, as `train_core.written_at` reads it."""


def is_in_a_file(task: Any) -> bool:
    """Whether another process can import it by the name of its module, or from its file."""
    module = sys.modules.get(task.__module__)
    named = getattr(module, task.__qualname__, None) is task
    return named and task.__module__ not in values.HERE and bool(getattr(module, "__file__", None))


def travelling(task: Any) -> TaskSource:
    """The source of a class or function and of all that it needs. Raises NoSourceError."""
    return _Module(task).source()


class _Module:
    """The parts of one module: imports first, then values, then definitions, each after what it uses."""

    def __init__(self, task: Any) -> None:
        self._task = task
        self._imports: dict[str, None] = {}
        self._constants: list[str] = []
        self._definitions: list[Piece] = []
        self._arrays: dict[str, np.ndarray[Any, Any]] = {}
        self._known: dict[str, Any] = {}
        self._define(task.__name__, task, used_by=task.__name__)

    def source(self) -> TaskSource:
        text, lines = self._text()
        files = {MODULE: text.encode(), LINES: json.dumps(lines).encode()}
        if self._arrays:
            files[ARRAYS] = self._packed()
        return TaskSource(f"{MODULE}:{self._task.__name__}", MODULE, files)

    def _text(self) -> tuple[str, list[tuple[int, int, int, str]]]:
        """The module, and where its definitions were written."""
        head = f'"""{self._task.__name__} and what it needs, as written in a notebook or a script."""'
        parts = [head, "\n".join(self._imports), "\n".join(self._constants)]
        text = "".join(f"{part}\n\n" for part in parts if part)
        lines = []
        for piece in self._definitions:
            first = text.count("\n") + 1
            text += f"{piece.text}\n\n"
            lines.append((first, first + piece.text.count("\n"), piece.line, piece.place))
        return text.rstrip("\n") + "\n", lines

    def _packed(self) -> bytes:
        import numpy as np

        buffer = io.BytesIO()
        np.savez(buffer, **self._arrays)  # type: ignore[arg-type]  # a name is no option of savez's
        return buffer.getvalue()

    def _define(
        self, name: str, found: Any, *, used_by: str, seen_from: Mapping[str, Any] | None = None
    ) -> None:
        """The definition of a class or function, after all that it uses."""
        self._known[name] = found
        if getattr(found, "__name__", "") == "<lambda>":
            raise NoSourceError(f"{used_by} uses {name}, a lambda. Write it as a function with def")
        piece = piece_of(found, seen_from)
        if piece.name != name:
            raise NoSourceError(f"{used_by} uses {name}, which is another name of {piece.name}")
        for used in global_names(piece.text):
            self._bring(used, piece)
        self._definitions.append(piece)

    def _bring(self, name: str, piece: Piece) -> None:
        """A global name of a definition, however it can come along."""
        if name not in piece.namespace:
            if hasattr(builtins, name) or name in ("__name__", "__file__"):
                return
            raise NoSourceError(f"{piece.name} uses {name}, which is not defined")
        value = piece.namespace[name]
        if name in self._known:
            if self._known[name] is not value:
                raise NoSourceError(
                    f"{piece.name} uses {name}, which is something else elsewhere. Rename one"
                )
            return
        imports = values.importing(name, value, dotted_names(piece.text, name))
        if imports is not None:
            self._known[name] = value
            self._imports |= dict.fromkeys(imports)
        elif (lines := values.literal(name, value)) is not None:
            self._known[name] = value
            *first, last = lines
            self._imports |= dict.fromkeys(first)
            self._constants.append(last)
        elif (array := values.as_array(value)) is not None:
            self._known[name] = value
            self._bring_array(name, value, array, piece)
        elif isinstance(value, type) or hasattr(value, "__code__"):
            self._define(name, value, used_by=piece.name, seen_from=piece.namespace)
        else:
            raise NoSourceError(_cannot(name, value, piece))

    def _bring_array(self, name: str, value: Any, array: np.ndarray[Any, Any], piece: Piece) -> None:
        self._arrays[name] = array
        if sum(each.nbytes for each in self._arrays.values()) > values.MAX_ARRAY_BYTES:
            raise NoSourceError(
                f"{piece.name} uses {name}, an array of {array.nbytes / 1e6:.0f} MB, too large to come "
                f"along. Save it to a file, and load it in {piece.name}"
            )
        if len(self._arrays) == 1:
            self._imports |= {"import pathlib": None, "import numpy": None}
            path = f'pathlib.Path(__file__).with_name("{Path(ARRAYS).name}")'
            self._constants.append(f"with numpy.load({path}) as _file:\n    _arrays = dict(_file)")
        if values.is_mlx(value):
            self._imports["import mlx.core"] = None
        made = f"mlx.core.array(_arrays[{name!r}])" if values.is_mlx(value) else f"_arrays[{name!r}]"
        if values.is_number(value):
            made += "[()]"
        self._constants.append(f"{name} = {made}  # {values.fingerprint(array)}")


def _cannot(name: str, value: Any, piece: Piece) -> str:
    kind = type(value)
    what = f"a {kind.__module__.partition('.')[0]} {kind.__name__}" if kind.__module__ != "__main__" else ""
    what = f"a {kind.__name__}, too long or not plain" if kind.__module__ == "builtins" else what
    what = what or f"a {kind.__name__} made in the notebook"
    return (
        f"{piece.name} uses {name}, {what}, which cannot come along to its workers. "
        f"Make it inside {piece.name}, or put it in a file"
    )


def located(task: Any) -> tuple[Path, str]:
    """Where a task of a file is found by other processes: a folder, and its name from there."""
    module = sys.modules[task.__module__]
    file = Path(str(module.__file__)).resolve()
    depth = task.__module__.count(".") + (file.name == "__init__.py")
    if not depth and "site-packages" not in file.parts:
        return file.parent, f"{file.name}:{task.__qualname__}"
    folder = Path.cwd() if "site-packages" in file.parts else file.parents[depth]
    return folder, f"{task.__module__}:{task.__qualname__}"
