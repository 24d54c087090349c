"""Which line changed a value."""

from __future__ import annotations

import sys

from train_core.inspect.watching import changes

BOX = {"a": 0, "b": 0}


def writes() -> None:
    BOX["a"] += 1  # the line
    BOX["c"] = 1


def test_the_innermost_line_is_named_with_its_owner() -> None:
    class Owner:
        def write(self) -> None:
            writes()
            BOX["b"] += 1  # another line

    owner = Owner()
    with changes({"a": lambda: bytes([BOX["a"]]), "b": lambda: bytes([BOX["b"]])}) as found:
        owner.write()
        owner.write()
    assert [line.text for line in found["a"]] == ['BOX["a"] += 1  # the line']
    assert [(line.text, line.owner) for line in found["b"]] == [('BOX["b"] += 1  # another line', owner)]
    assert found["a"][0].file == __file__


def test_an_earlier_trace_function_comes_back() -> None:
    before = sys.gettrace()
    with changes({}):
        pass
    assert sys.gettrace() is before
