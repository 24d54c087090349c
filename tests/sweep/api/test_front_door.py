"""`import sweep`: what it gives, what it loads, and studies run from Python in every form."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import analysis
import sweep
from configfile import yamlfile
from sweep.driver.monitor.progress import Quiet
from sweep.spec.given import study_of
from sweep.spec.parse import load
from tests.sweep.conftest import STUDY, Folder

ROOT = Path(__file__).parents[3]
HEAVY = {"ray", "mlx", "optuna", "pandas"}


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compilation is not what is tested here."""
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")


def test_the_public_names_are_sorted_complete_and_there() -> None:
    given = ["check", "compare", "extend", "list_runs", "load", "plan", "remove", "run", "show", "status"]
    assert sweep.__all__ == sorted(sweep.__all__)
    assert set(sweep.__all__) >= {*given, "StudySpec", "SweepError", "__version__"}
    for name in sweep.__all__:
        assert getattr(sweep, name), name
    assert sweep.load is analysis.load
    with pytest.raises(AttributeError, match="no_such_name"):
        sweep.no_such_name  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize("names", ["", "; sweep.run, sweep.check, sweep.status, sweep.StudySpec"])
def test_importing_sweep_loads_nothing_heavy(names: str) -> None:
    program = f"import sys, sweep{names}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_help_loads_few_modules() -> None:
    """It is answered in a quarter of a second: nothing that takes long to import is loaded for it."""
    program = (
        "import sys; from typer.testing import CliRunner\n"
        "before = set(sys.modules)\n"
        "from sweep.cli import app; CliRunner().invoke(app, ['--help'])\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert loaded & {"sweep", "clusters"}
    slow = {"rich", "pydantic", "ruamel", "numpy", "fsspec", "tarfile", "asyncio", "cryptography", *HEAVY}
    assert not loaded & slow


def of_text(folder: Folder) -> str:
    return folder.study.read_text()


def of_values(folder: Folder) -> dict[str, object]:
    values: dict[str, object] = yamlfile.parse(folder.study.read_text(), "study.yaml").value
    return values


FORMS = {"path": lambda folder: folder.study, "words": lambda folder: str(folder.study), "text": of_text,
         "values": of_values, "spec": lambda folder: load(folder.study)}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_study_is_run_in_every_form(form: str, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.path)
    summary = sweep.run(FORMS[form](folder), runs=folder.runs, trials=2, progress=Quiet())
    assert summary.counts["COMPLETE"] == 2
    best = summary.best
    assert best is not None
    table = sweep.load(summary.run_dir).trials
    assert best.value == table.value.min()
    assert best.params["learning_rate"] == table.set_index("number").params_learning_rate[best.number]
    assert str(best).startswith(f"trial {best.number}, validation_loss {best.value:.6g}: ")
    again = sweep.run(FORMS[form](folder), runs=folder.runs, trials=3, progress=Quiet())
    assert again.counts["COMPLETE"] == 3


@pytest.mark.slow
def test_a_study_runs_in_a_thread_and_the_process_ends_well(folder: Folder) -> None:
    """Signal handlers belong to the main thread alone, and MLX outlives no thread that ends with Python."""
    program = (
        "import sweep, threading\n"
        "thread = threading.Thread(target=lambda: print(sweep.run('study.yaml').best))\n"
        "thread.start()\n"
        "thread.join()\n"
    )
    running = folder.start_python("-c", program)
    said, _ = running.communicate(timeout=300)
    assert running.returncode == 0, said
    assert re.search(r"^trial \d, validation_loss 0\.\d+: ", said, re.MULTILINE), said


@pytest.mark.slow
def test_the_verbs_give_values_and_print_nothing(folder: Folder, capfd: pytest.CaptureFixture[str]) -> None:
    sweep.run(folder.study, runs=folder.runs, progress=Quiet())
    assert sweep.check(folder.study).length.examples == 192
    assert sweep.plan(folder.study, nodes=2, trial_seconds=60.0).makespan_s == 120.0
    assert sweep.status(folder.run_dir).trials == {"COMPLETE": 4}
    assert [each.path for each in sweep.list_runs(folder.runs)] == [folder.run_dir]
    assert sweep.show(folder.run_dir, 0).trial.number == 0
    assert sweep.compare([folder.run_dir, folder.run_dir]).at == 4
    longer = sweep.extend(folder.run_dir, "4 epochs", best=1, runs=folder.runs, progress=Quiet())
    assert (longer.study, longer.counts["COMPLETE"]) == ("line-4-epochs", 1)
    removed = sweep.remove(folder.run_dir, keep_best=0)
    assert removed.checkpoints
    assert not list(folder.run_dir.glob("checkpoints/**/*.safetensors"))
    assert capfd.readouterr() == ("", "")


def test_a_plan_needs_times(folder: Folder) -> None:
    with pytest.raises(sweep.SweepError, match="needs either the seconds of a trial or a run"):
        sweep.plan(folder.study)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"budget": {"trials": 0}}, "study: budget.trials: must be"),
        ({"sed": 3}, "study: sed: unknown key. Did you mean `seed`"),
        ({"seed": object()}, "study: seed: must be a number, text.*object"),
    ],
)
def test_what_is_wrong_in_a_mapping_is_said_by_its_key(
    change: dict[str, object], said: str, folder: Folder
) -> None:
    with pytest.raises(sweep.SweepError, match=said):
        study_of({**of_values(folder), **change})


def test_numbers_of_numpy_are_plain_numbers(folder: Folder) -> None:
    import numpy as np

    values = {
        **of_values(folder),
        "seed": np.int64(5),
        "fixed": {"slow": np.float64(0.0), "optimizer": "sgd"},
    }
    spec = study_of(values)
    assert (spec.seed, spec.fixed["slow"]) == (5, 0.0)
    assert type(spec.fixed["slow"]) is float


def test_the_study_s_own_text_says_the_line() -> None:
    with pytest.raises(sweep.SweepError, match=r"study:13: budget\.trials"):
        sweep.run(STUDY.replace("trials: 4", "trials: 0"))
