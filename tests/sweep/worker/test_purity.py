"""`sweep check` on impure tasks: exit code 2, what is wrong and at which line."""

from __future__ import annotations

import json
import re

import pytest

from tests.sweep.conftest import Folder

OVERWRITING = """
    def loss(self, model, batch, hp):
        np.asarray(batch["x"])[0] = 0
        return super().loss(model, batch, hp)
"""
DRAWING = """
    def loss(self, model, batch, hp):
        noise = mx.random.normal(batch["y"].shape)
        return super().loss(model, batch | {"y": batch["y"] + noise}, hp)
"""
BRANCHING = """
    def loss(self, model, batch, hp):
        if hp.dropout > 0:
            return super().loss(model, batch, hp)
        return super().loss(model, batch, hp)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        (OVERWRITING, 'np.asarray(batch["x"])[0] = 0', r'writes into the buffer of batch\["x"\]'),
        (DRAWING, "noise = mx.random.normal", r"draws from the global generator by hand"),
        (BRANCHING, "if hp.dropout > 0:", r'add "dropout" to `static`'),
    ],
)
def test_check_names_what_is_impure_and_where(folder: Folder, body: str, line: str, said: str) -> None:
    source = folder.path / "line.py"
    text = f"{source.read_text()}\n\nclass Impure(Line):{body}"
    source.write_text(text)
    folder.write(("line.py:Line", "line.py:Impure"))
    ended = folder.sweep("check", "study.yaml")
    number = next(n for n, held in enumerate(text.splitlines(), 1) if line in held)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert not ended.stdout
    assert re.search(rf"study\.yaml:3: task: .*line\.py:{number}: in Impure.*{said}", ended.stderr), (
        ended.stderr
    )


@pytest.mark.slow
def test_check_prints_the_purity_of_a_sound_task(folder: Folder) -> None:
    ended = folder.sweep("check", "study.yaml", "--json")
    purity = json.loads(ended.stdout)["purity"]
    assert purity["problems"] == []
    assert purity["compiles"]
    assert not purity["random"]
    assert purity["unreached"] == []
    assert "purity: the task is pure" in folder.sweep("check", "study.yaml").stdout
