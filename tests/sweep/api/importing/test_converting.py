"""Files of other tools become studies that `check` accepts; what cannot be said is said."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import sweep
from configfile import yamlfile
from sweep.api.importing import converting
from sweep.api.importing.converting import import_file
from sweep.cli import app
from sweep.errors import SweepError
from sweep.spec.parse import load
from sweep.spec.resolve import resolved

FILES = sorted((Path(__file__).parents[3] / "data" / "other_tools").glob("*.yaml"))

REFUSED = {
    "hydra_unknown.yaml": r"hydra\.sweeper\.params\.x: glob\(\.\.\.\) is not known here",
    "ray_plain.yaml": r"pong-impala\.config: holds no grid_search and no tune\.\* range",
    "ray_spaces.yaml": r"config\.hidden: tune\.sample_from\(lambda spec: 3\) is not made of numbers",
    "wandb_constant.yaml": "parameters: every one is a constant, so there is nothing to search",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "utils").mkdir()
    for name in ("train.py", "main.py", "src/train.py", "utils/sweep.py"):
        (tmp_path / name).touch()
    return tmp_path


def imported(name: str, here: Path) -> dict[str, object]:
    (source,) = (file for file in FILES if file.name == name)
    import_file(source, into=here / "study.yaml")
    return resolved(load(here / "study.yaml"))


def test_all_but_four_are_studies() -> None:
    assert len(FILES) == 36
    assert len(REFUSED) == 4


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


def test_an_interval_of_hydra_is_one_of_numbers_unless_it_is_cast(here: Path) -> None:
    space = imported("hydra_lightning.yaml", here)["space"]
    assert isinstance(space, dict)
    assert space["model.net.heads"] == {"low": 1.0, "high": 8.0, "log": False}
    assert space["model.net.depth"] == {"low": 1, "high": 64, "log": True, "step": 1}
    assert space["trainer.gradient_clip_val"] == {"low": 0.0, "high": 2.0, "log": False, "step": 0.5}
    assert space["model.net.act"] == {"choices": ["re lu", "gelu"]}


def test_a_range_of_hydra_ends_before_its_stop_but_not_the_optuna_sweeper_s(here: Path) -> None:
    assert imported("hydra_basic.yaml", here)["space"]["n"]["high"] == 3  # type: ignore[index]
    assert imported("hydra_basic.yaml", again(here))["budget"] == {"trials": 12}
    assert imported("hydra_sweeper_only.yaml", again(here))["space"]["x"]["high"] == 4  # type: ignore[index]


def test_sweepers_of_ax_and_nevergrad(here: Path) -> None:
    space = imported("hydra_ax.yaml", here)["space"]
    assert isinstance(space, dict)
    assert space["banana.x"] == {"low": -5, "high": 5, "log": False, "step": 1}
    assert space["banana.y"] == {"low": -5.0, "high": 10.1, "log": False}
    assert space["lr"]["log"] is True
    study = imported("hydra_nevergrad.yaml", again(here))
    assert study["objective"] == {"metric": "value", "direction": "maximize"}
    assert study["space"]["lr"] == {"low": 0.0025, "high": 0.16, "log": True}  # type: ignore[index]
    assert study["space"]["batch_size"] == {"low": 4, "high": 16, "log": False, "step": 1}  # type: ignore[index]


def test_commands_of_w_and_b(here: Path) -> None:
    study = imported("wandb_hydra.yaml", here)
    assert (study["name"], study["environment"]) == ("R-seau-sweep-3-lr-wd", {"WANDB_MODE": "offline"})
    assert study["working_directory"] == "."
    command = study["command"]
    assert isinstance(command, list)
    assert command[:3] == ["python", "train.py", "--multirun"]
    assert "data.path={data.path}" in command
    assert not any("LOGS" in each for each in command)
    command = imported("wandb_append.yaml", again(here))["command"]
    assert isinstance(command, list)
    assert command[-4:] == ["+lr={lr}", "+flag={flag}", "--lr={lr}", "--flag={flag}"]


def test_an_entrypoint_that_a_shell_reads(here: Path) -> None:
    command = imported("determined_adaptive_simple.yaml", here)["command"]
    assert isinstance(command, list)
    assert command[:4] == ["sh", "-c", 'cd src && exec python3 train.py --data $DATA "$@"', "sh"]
    command = imported("determined_asha.yaml", again(here))["command"]
    assert isinstance(command, list)
    assert command[:4] == ["python3", "-m", "pkg.train", "--lr={lr}"]


def test_a_grid_and_ranges_of_ray_tune_are_drawn_as_often_as_it_would(here: Path) -> None:
    study = imported("ray_rllib.yaml", here)
    assert (study["sampler"]["name"], study["budget"]) == ("random", {"trials": 4})  # type: ignore[index]


JUNK: tuple[Any, ...] = (
    None, True, "x", "", -1, 0, 1.5, 1e300, float("inf"), 10**400, [], {}, [1, 2], {"a": 1}, "a\nb: c", "{x}",
    "choice()", "range(1", "range(5,1)", "interval(1,2", "int(choice(a,b))", "tag(log)", "tune.choice(1)",
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where values stand in a file's, as keys and indices."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


@pytest.mark.slow
def test_invariant_10_a_mutated_file_is_a_study_or_refused_in_a_line(here: Path) -> None:
    """What is written is read back as it was meant, too."""
    draw = random.Random(0)
    source = here / "source.yaml"
    for _ in range(150):
        value = yamlfile.parse(draw.choice(FILES).read_bytes(), "source.yaml").value
        *path, last = draw.choice(list(places(value)))
        inner = value
        for key in path:
            inner = inner[key]
        inner[last] = draw.choice(JUNK)
        source.write_text(yamlfile.dump(value))
        again(here)
        try:
            import_file(source, into=here / "study.yaml")
        except SweepError as error:
            assert "\n" not in str(error), (value, str(error))
            continue
        draft = converting._read(source, None)
        written = yamlfile.parse(draft.text("x").encode(), "x").value
        assert json.dumps(written, sort_keys=True) == json.dumps(draft.values, sort_keys=True), value


def again(here: Path) -> Path:
    """For another file."""
    (here / "study.yaml").unlink(missing_ok=True)
    return here


def test_a_grid_has_as_many_trials_as_points(here: Path) -> None:
    assert imported("wandb_grid.yaml", here)["budget"] == {"trials": 24}
    assert imported("determined_grid.yaml", again(here))["budget"] == {"trials": 12}
    study = imported("ray_samples.yaml", again(here))
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
