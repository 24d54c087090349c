"""What Optuna and NumPy warn of is said once, as a tip, and stands in the log (fault 23)."""

from __future__ import annotations

import logging
import threading
import warnings

import pytest

from sweep.driver.monitor.library_warnings import LibraryWarnings
from tests.sweep.conftest import Folder
from tests.sweep.in_process import sweep

INFINITE = """
import mlx.core as mx
from line import Line
from train_core import Mean

class Infinite(Line):
    def evaluate(self, model, batch, hp):
        return {"loss": Mean(mx.full((len(batch["x"]),), mx.inf))}
"""
SUBTRACTED = "numpy warns: invalid value encountered in scalar subtract"


@pytest.mark.usefixtures("uncompiled")
def test_a_quiet_run_says_nothing_of_what_numpy_warns_of_in_a_pruner(folder: Folder) -> None:
    (folder.path / "infinite.py").write_text(INFINITE)
    folder.write(
        ("line.py:Line", "infinite.py:Infinite"),
        ("{name: random}", "{name: random}\npruner: {name: median, n_startup_trials: 1}"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        done = sweep(folder, "run", "study.yaml", "--quiet", "--no-report")
    assert "invalid value" not in done.stderr
    assert (folder.run_dir / "log.jsonl").read_text().count(SUBTRACTED) == 1


def test_both_ways_of_warning_are_heard_once_and_only_from_the_thread_that_listens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said: list[str] = []
    library, log = LibraryWarnings(said.append), logging.getLogger("optuna.anything")
    handler = logging.StreamHandler()
    logging.getLogger("optuna").addHandler(handler)

    def warn(text: str) -> None:
        warnings.warn_explicit(text, RuntimeWarning, "/lib/site-packages/numpy/lib/x.py", 1)
        log.warning("%s in the log", text)

    try:
        with warnings.catch_warnings(record=True) as passed:
            warnings.simplefilter("always")
            with library.installed():
                with library.heard():
                    warn("first")
                    warn("first")
                    other = threading.Thread(target=warn, args=("elsewhere",))
                    other.start()
                    other.join()
                warn("later")
            warn("after")
    finally:
        logging.getLogger("optuna").removeHandler(handler)
    assert said == ["numpy warns: first", "optuna warns: first in the log"]
    shown = capsys.readouterr().err
    assert "first" not in shown
    others = ["elsewhere", "later", "after"]
    assert [str(each.message) for each in passed] == others
    assert all(f"{text} in the log" in shown for text in others)


def test_a_warning_that_is_an_error_stays_one() -> None:
    library = LibraryWarnings(lambda text: None)
    with warnings.catch_warnings(), library.installed(), library.heard():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning):
            warnings.warn("raised", RuntimeWarning, stacklevel=1)
