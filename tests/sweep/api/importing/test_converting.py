"""Files of other tools become studies that `check` accepts; what cannot be said is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sweep
from sweep.api.importing.converting import import_file
from sweep.cli import app
from sweep.errors import SweepError
from sweep.spec.parse import load
from sweep.spec.resolve import resolved

FILES = sorted((Path(__file__).parents[3] / "data" / "other_tools").glob("*.yaml"))

REFUSED = {
    "hydra_unknown.yaml": r"hydra\.sweeper\.params\.x: glob\(\.\.\.\) is not known here",
    "wandb_constant.yaml": "parameters: every one is a constant, so there is nothing to search",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    for name in ("train.py", "main.py", "src/train.py"):
        (tmp_path / name).touch()
    return tmp_path


def imported(name: str, here: Path) -> dict[str, object]:
    (source,) = (file for file in FILES if file.name == name)
    import_file(source, into=here / "study.yaml")
    return resolved(load(here / "study.yaml"))


def test_there_are_twenty_and_all_but_two_are_studies() -> None:
    assert len(FILES) == 20
    assert len(REFUSED) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("described_here")
@pytest.mark.parametrize(
    "file", [file for file in FILES if file.name not in REFUSED], ids=lambda file: file.stem
)
def test_check_accepts_it(file: Path, here: Path) -> None:
    found = import_file(file, into=here / "study.yaml")
    assert sweep.check(here / "study.yaml").spec.command is not None
    assert all(f"# {text}" in found.text for text in found.unsaid)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_study_says_why(name: str, here: Path) -> None:
    with pytest.raises(SweepError, match=REFUSED[name]):
        imported(name, here)
    assert not (here / "study.yaml").exists()


def test_ranges_are_those_of_the_file(here: Path) -> None:
    space = imported("wandb_bayes.yaml", here)["space"]
    assert isinstance(space, dict)
    assert space["learning_rate"] == {"low": 1e-5, "high": 0.1, "log": True}
    assert space["batch_size"] == {"low": 32, "high": 256, "log": True, "step": 8}
    assert space["dropout"] == {"low": 0.0, "high": 0.6, "log": False}


def test_exponents_steps_and_names_with_dots(here: Path) -> None:
    space = imported("wandb_nested.yaml", here)["space"]
    assert isinstance(space, dict)
    rate = space["optimizer.lr"]
    assert (rate["low"], rate["high"]) == pytest.approx((1e-4, 0.1), rel=0.01)
    assert space["optimizer.momentum"] == {"low": 0.5, "high": 0.95, "log": False, "step": 0.05}
    assert space["seed"] == {"low": 1, "high": 100, "log": False, "step": 1}


def test_overrides_of_hydra(here: Path) -> None:
    study = imported("hydra_tags.yaml", here)
    assert study["space"] == {
        "model.lr": {"low": 1e-4, "high": 0.1, "log": True},
        "model.layers": {"low": 1, "high": 6, "log": False, "step": 1},
        "model.width": {"low": 16, "high": 128, "log": False, "step": 16},
        "model.act": {"choices": ["relu", "gelu", "tanh"]},
    }
    assert "++model.layers={model.layers}" in study["command"]  # type: ignore[operator]


def test_a_grid_has_as_many_trials_as_points(here: Path) -> None:
    assert imported("wandb_grid.yaml", here)["budget"] == {"trials": 24}
    (here / "study.yaml").unlink()
    assert imported("determined_grid.yaml", here)["budget"] == {"trials": 12}
    (here / "study.yaml").unlink()
    study = imported("ray_samples.yaml", here)
    assert (study["budget"], study["trial"]["replicates"]) == ({"trials": 2}, 3)  # type: ignore[index]


def test_integers_on_a_log_scale(here: Path) -> None:
    space = imported("ray_ranges.yaml", here)["space"]
    assert space["n_step"] == {"low": 1, "high": 63, "log": True, "step": 1}  # type: ignore[index]


def test_the_verb_names_what_is_not_as_there(here: Path) -> None:
    source = next(file for file in FILES if file.name == "determined_adaptive.yaml")
    said = CliRunner().invoke(app, ["import", str(source), "--into", "study.yaml", "--program", "main.py"])
    assert said.exit_code == 0, said.output
    assert "wrote study.yaml, from an experiment of Determined" in said.output
    assert "not as there: searcher: adaptive_asha draws at random; here tpe proposes" in said.output
    assert load(here / "study.yaml").command is not None
    again = CliRunner().invoke(app, ["import", str(source), "--into", "study.yaml"])
    assert again.exit_code == 2
    found = json.loads(CliRunner().invoke(app, ["import", str(source), "--into", "b.yaml", "--json"]).output)
    assert found["path"] == "b.yaml"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n", "is of no kind that is known here"),
        ("- 1\n", "is of no kind that is known here"),
        ("a: [\n", "must be YAML"),
        (
            "method: bayes\nparameters: {a: {min: 1}}\n",
            r"parameters\.a: has neither values nor both of min and max",
        ),
        ("method: odd\nparameters: {a: {min: 1, max: 2}}\n", "method: odd is none of bayes, random and grid"),
        ("method: bayes\nparameters: {a: {min: x, max: 2}}\n", r"a: 'x' is no number"),
        ("method: bayes\nparameters: {a: {min: 3, max: 2}}\n", "low 3 is above high 2"),
    ],
)
def test_invariant_10_a_file_that_cannot_be_read_is_named_in_a_line(text: str, said: str, here: Path) -> None:
    (here / "other.yaml").write_text(text)
    with pytest.raises(SweepError, match=said):
        import_file(here / "other.yaml")
    with pytest.raises(SweepError, match="cannot be read: No such file"):
        import_file(here / "none.yaml")
