"""What a class or function of a notebook needs comes along with it, or is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.api.python.pieces import NoSourceError, dotted_names, global_names
from sweep.api.python.travel import LINES, MODULE, is_in_a_file, located, travelling
from tests.sweep.api.python.cells import Kernel
from tests.sweep.studies import functions
from train_core.loading import load_object

CELL = """
    import dataclasses, math
    import os.path
    import xml.etree.ElementTree
    from pathlib import Path

    import mlx.core as mx
    import numpy as np

    RATE, NAMES, NEVER = 0.5, ["a", {"b": (1, None)}], float("inf")
    FOLDER = Path("data")
    NUMBERS = np.arange(4.0)
    ONES = mx.ones((2,))

    def helper(x):
        return math.sin(x) * RATE if x else helper(x + 1)

    @dataclasses.dataclass
    class Settings:
        rate: float = RATE
        def doubled(self): return 2 * self.rate

    class Base:
        names = NAMES

    class Task(Base):
        def value(self):
            [x for x in self.names if x]
            tree = xml.etree.ElementTree.fromstring("<a/>")
            arrays = float(NUMBERS.sum() + ONES.sum().item() + np.mean(NUMBERS))
            return helper(0), Settings().doubled(), tree.tag, os.path.exists(FOLDER), arrays, NEVER
"""


def loaded(folder: Path, task: Any) -> Any:
    """The task as another process has it."""
    source = travelling(task)
    source.write(folder)
    return load_object(str(folder), source.target, "task")


def test_all_that_a_class_needs_comes_along(tmp_path: Path) -> None:
    here = Kernel().run(CELL)["Task"]
    there = loaded(tmp_path, here)
    assert there is not here
    assert there().value() == here().value()


def test_the_same_cells_give_the_same_source_and_other_data_another() -> None:
    kernel = Kernel()
    first = travelling(kernel.run(CELL)["Task"])
    again = travelling(kernel.run("\n\n" + CELL)["Task"])
    assert first.sha256 == again.sha256
    kernel.names["NUMBERS"] = np.arange(4.0) + 1
    assert travelling(kernel.names["Task"]).sha256 != first.sha256


def test_lines_are_those_of_the_cell() -> None:
    source = travelling(Kernel().run("x = 1\n\n\ndef train(trial):\n    return x\n")["train"])
    text = source.files[MODULE].decode().splitlines()
    ((first, last, line, place),) = json.loads(source.files[LINES])
    assert (text[first - 1], text[last - 1]) == ("def train(trial):", "    return x")
    assert (line, place) == (4, "the cell")


def test_definitions_inside_of_a_function_come_along_where_they_use_nothing_of_it(tmp_path: Path) -> None:
    names = Kernel().run(
        """
        def make():
            factor = 2
            def train(trial):
                return 3
            def other(trial):
                return factor
            return train, other
        train, other = make()
        """
    )
    assert loaded(tmp_path, names["train"])(None) == 3
    with pytest.raises(NoSourceError, match=r"other is defined inside make and uses its factor\. Define"):
        travelling(names["other"])


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("table = pd.DataFrame({'a': [1]})\ndef train(trial): return table.a.sum()",
         "train uses table, a pandas DataFrame, which cannot come along to its workers. Make it"),
        ("class Model: pass\nmodel = Model()\ndef train(trial): return model",
         "train uses model, a Model made in the notebook, which cannot come along"),
        ("def train(trial): return missing", "train uses missing, which is not defined"),
        ("numbers = np.zeros(30_000_000)\ndef train(trial): return numbers.sum()",
         "train uses numbers, an array of 240 MB, too large to come along. Save it to a file"),
        ("words = np.array([object()])\ndef train(trial): return words", "train uses words, a numpy ndarray"),
        ("exec('def train(trial): return 1')", "the source of train is not known. Define it in a cell"),
        ("def one(trial): return 1\ntwo = one\ndef train(trial): return two(trial)",
         "train uses two, which is another name of one"),
    ],
)  # fmt: skip
def test_what_cannot_come_along_is_named(cell: str, said: str) -> None:
    names = Kernel().run("import numpy as np, pandas as pd\n" + cell)
    with pytest.raises(NoSourceError, match=said):
        travelling(names["train"])


def test_global_names_are_those_that_a_module_must_have() -> None:
    text = """
@decorate(A)
def f(x, y=B, *, z: C = 1):
    global D
    def inner():
        return x + E + f(x)
    return [F + each for each in y if (g := each)]
"""
    assert set(global_names(text)) == set("ABCEF") | {"decorate"}
    assert dotted_names("a.b.c(d.e)", "a") == {"b", "b.c"}


def test_what_lies_in_a_file_is_found_there() -> None:
    assert is_in_a_file(functions.train)
    root = Path(__file__).parents[4]
    assert located(functions.train) == (root, "tests.sweep.studies.functions:train")
