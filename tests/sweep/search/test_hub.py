"""Samplers of OptunaHub, fetched by a stand-in for its package: the network is not what is tested."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.search import hub, samplers
from sweep.search.study import Study
from sweep.spec.parse import parse
from sweep.vocabulary.trial import Length
from tests.sweep.search.specs import with_sampler
from tests.sweep.spec.minimal import MINIMAL, problems_in, spec_of

PACKAGE = """\
import importlib.util, pathlib

def load_module(package):
    path = pathlib.Path(__file__).parent / "registry" / package / "__init__.py"
    if not path.exists():
        raise RuntimeError("Could not resolve host: github.com\\n  stderr: 'fatal: unable to access'")
    spec = importlib.util.spec_from_file_location("optunahub_registry." + package.replace("/", "."), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
"""

ONE = """\
import optuna
from optuna.samplers import BaseSampler, RandomSampler

class Constant(RandomSampler):
    def __init__(self, value: float = 0.5, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.value = value

    def sample_independent(self, study, trial, param_name, param_distribution):
        return self.value
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages that the stand-in loads from."""
    (tmp_path / "optunahub.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in {
        "one": ONE,
        "two": ONE + "\nclass Other(RandomSampler):\n    pass\n",
        "chosen": ONE + "\nclass Other(RandomSampler):\n    pass\n\n__all__ = ['Other']\n",
        "none": "x = 1\n",
        "needy": "import a_package_that_is_not_there\n",
    }.items():
        folder = tmp_path / "registry" / "samplers" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(text)
    hub.sampler_class.cache_clear()
    yield tmp_path
    sys.modules.pop("optunahub", None)
    hub.sampler_class.cache_clear()


def test_a_sampler_of_the_hub_proposes_with_its_arguments(registry: Path) -> None:
    spec = with_sampler(spec_of("x: {low: 0.0, high: 1.0}"), "optunahub:one", value=0.25)
    assert samplers.problems(spec) == []
    (proposal,) = Study(spec, None, Length(100, 10)).ask(1)
    assert proposal.params == {"x": 0.25}
    assert samplers.sampler_class(with_sampler(spec, "optunahub:two:Other")).__name__ == "Other"
    assert samplers.sampler_class(with_sampler(spec, "optunahub:chosen")).__name__ == "Other"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "optunahub:two",
            "two of OptunaHub has several samplers. Write optunahub:two:Constant or optunahub:two:Other",
        ),
        ("optunahub:one:Other", "one of OptunaHub has no sampler Other. Write optunahub:one:Constant"),
        (
            "optunahub:none",
            "none of OptunaHub has no sampler. Choose another one from https://hub.optuna.org",
        ),
        (
            "optunahub:needy",
            "needs a_package_that_is_not_there, not installed here. Run: pip install a_package_",
        ),
        (
            "optunahub:away",
            "away cannot be fetched from OptunaHub: fatal: unable to access. Check its",
        ),
    ],
)
def test_what_cannot_be_had_is_one_line(registry: Path, name: str, said: str) -> None:
    (problem,) = samplers.problems(with_sampler(spec_of("x: {low: 0.0, high: 1.0}"), name))
    assert problem.key == "sampler.name"
    assert said in str(problem)


def test_without_the_package_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optunahub", None)
    hub.sampler_class.cache_clear()
    (problem,) = samplers.problems(with_sampler(spec_of("x: {low: 0.0, high: 1.0}"), "optunahub:one"))
    assert "one of OptunaHub needs optunahub, not installed here. Run: pip install optunahub" in str(problem)


def test_only_samplers_are_of_the_hub() -> None:
    assert parse(MINIMAL + "sampler: {name: optunahub:one}\n", "s.yaml").sampler.name == "optunahub:one"
    (problem,) = problems_in(MINIMAL + "sampler: {name: hub-one}\n")
    assert "package.module:Class, or optunahub:NAME" in str(problem)
    (problem,) = problems_in(MINIMAL + "pruner: {name: optunahub:one:Two}\n")
    assert problem.key == "pruner.name"
