"""Executors by registry: ours by name, and any class of the user's own."""

from __future__ import annotations

import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import analysis
from sweep import executors
from sweep.errors import SpecError
from sweep.executors import choosing
from sweep.spec.parse import parse
from sweep.spec.resolve import resolved_text
from sweep.spec.schema import StudySpec
from tests.sweep.conftest import ROOT, STUDIES, STUDY, Folder


def spec_for(executor: str) -> StudySpec:
    return parse(STUDY.replace("executor: inline", f"executor: {executor}"), "study.yaml")


def refusal(executor: str) -> str:
    (problem,) = choosing.problems(spec_for(executor))
    return str(problem)


def test_ours_are_known_by_the_name_of_their_module() -> None:
    assert sorted(choosing.registry().entries) == ["inline", "ray"]
    assert choosing.registry().entries.keys() <= {
        module.name for module in pkgutil.iter_modules(executors.__path__)
    }


@pytest.mark.parametrize(
    ("name", "uses_cluster", "in_process"), [("ray", True, False), ("inline", False, True)]
)
def test_what_an_executor_needs_is_known_before_it_is_made(
    name: str, uses_cluster: bool, in_process: bool
) -> None:
    traits = choosing.traits(spec_for(name))
    assert (traits.uses_cluster, traits.in_process) == (uses_cluster, in_process)


def test_invariant_10_a_name_that_is_none_of_ours_is_refused_with_the_nearest() -> None:
    said = refusal("inlin")
    assert said.startswith("study.yaml:5: executor: must be one of inline, ray, or package.module:Class")
    assert "Did you mean `inline`" in said


def test_invariant_10_a_class_that_makes_no_executors_is_refused_with_what_it_lacks() -> None:
    assert "it has no traits, prepare, make" in refusal("collections:Counter")
    assert "no_such_module" in refusal("no_such_module:Class")


def test_invariant_10_an_argument_that_the_class_does_not_take_is_refused() -> None:
    assert "executor.slots: InlineFactory has no argument `slots`" in refusal("{name: inline, slots: 2}")


def test_a_name_alone_is_written_as_one_and_arguments_stay() -> None:
    assert "executor: inline\n" in resolved_text(spec_for("inline"))
    outside = spec_for("{name: their.module:Class, partition: short}")
    again = parse(resolved_text(outside), "study.yaml")
    assert again.executor == outside.executor
    assert again.executor.arguments == {"partition": "short"}


@pytest.mark.slow
def test_choosing_an_executor_loads_none_of_what_it_needs() -> None:
    program = (
        "import sys; from sweep.executors import choosing; choosing.registry(); "
        "print(*{'mlx', 'ray', 'optuna'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == ([], "")


@pytest.mark.slow
def test_a_class_outside_the_tree_trains_a_study(folder: Folder) -> None:
    """The file lies beside the study file; `word` is an argument of its own."""
    shutil.copy(STUDIES / "outside.py", folder.path / "outside.py")
    folder.write(("executor: inline", "executor: {name: outside:Outside, word: mine}"))
    ended = folder.sweep("run", "study.yaml")
    assert ended.returncode == 0, ended.stderr
    assert Path(folder.path, "mine").read_text() == "prepared, made for line"
    assert set(analysis.load(folder.run_dir).trials.state) == {"COMPLETE"}


@pytest.mark.slow
def test_what_an_executor_outside_the_tree_refuses_is_said_at_check(folder: Folder) -> None:
    shutil.copy(STUDIES / "outside.py", folder.path / "outside.py")
    folder.write(("executor: inline", "executor: {name: outside:Outside, wrd: mine}"))
    ended = folder.sweep("check", "study.yaml")
    assert ended.returncode == 2
    assert "study.yaml:5: executor.wrd: Outside has no argument `wrd`" in ended.stderr


def test_a_factory_is_built_with_its_arguments() -> None:
    with pytest.raises(SpecError, match="Ours"):
        choosing.factory(spec_for("{name: tests.sweep.executors.test_choosing:Ours, size: 3}"))


class Ours:
    """A factory that accepts no size."""

    traits = None
    prepare = make = None

    def __init__(self, size: int) -> None:
        raise ValueError(f"size must be small, found {size}")


@pytest.mark.parametrize(
    ("share", "said"),
    [
        ("{weight: 0}", "cluster_share.weight"),
        ("{weight: -1.0}", "cluster_share.weight"),
        ("{max_slots: 0}", "cluster_share.max_slots"),
        ("{priority: high}", "cluster_share.priority"),
        ("{slots: 2}", "cluster_share.slots"),
    ],
)
def test_invariant_10_a_share_that_means_nothing_is_refused_with_its_line(share: str, said: str) -> None:
    with pytest.raises(SpecError) as raised:
        minimal_share(share)
    (problem,) = raised.value.problems
    assert said in str(problem)


def minimal_share(share: str) -> StudySpec:
    return parse(f"{STUDY}cluster_share: {share}\n", "study.yaml")


def test_invariant_10_a_share_of_an_executor_that_shares_nothing_is_refused() -> None:
    spec = minimal_share("{}")
    (problem,) = choosing.problems(spec)
    assert "means nothing with executor: inline" in str(problem)
