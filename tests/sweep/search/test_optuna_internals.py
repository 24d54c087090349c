"""Every private name of Optuna that the source uses: where it stands, that it is there, what to do if not."""

from __future__ import annotations

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
import pytest

from sweep.search.optuna_internals import RANDOM_PARTS
from sweep.search.samplers import quietly

ROOT = Path(__file__).parents[3]
PACKAGES = ("sweep", "analysis", "runlog", "clusters", "configfile", "train_core")
INTERNALS, JOURNAL, IN_MEMORY, EXACT, TPE, SEEING = (
    f"sweep/search/{name}.py"
    for name in ("optuna_internals", "journal", "in_memory", "tpe/exact", "tpe/sampler", "wrappers/seeing")
)


class Private(NamedTuple):
    """A private name, whose it is, the files that may use it, and what to change where it is gone."""

    owner: str
    files: tuple[str, ...]
    if_gone: str


STORAGE = "optuna.storages:InMemoryStorage"
SAMPLER = "optuna.samplers:TPESampler"
OVERRIDDEN = "override what TPESampler calls now; tests/sweep/search/test_tpe_sampler.py holds the proposals"
IN_SAMPLER = "read TPESampler's new attribute; without one, drop sweep.search.tpe and take Optuna's sampler"
DENSITY = "drop sweep.search.tpe.density: `estimator.log_pdf` gives the same, more slowly"
IN_STORAGE = "adapt Journal to InMemoryStorage's new way to hold trials; tests are Optuna's own of storages"

PRIVATE = {
    # Imported by name
    "_tell_with_warning": Private(
        "optuna.study._tell", (INTERNALS,), "call Study.tell: it copies every trial once more"
    ),
    "BaseGASampler": Private(
        "optuna.samplers._ga", (INTERNALS,), "leave generations of warm starts out"
    ),
    "_log_gauss_mass": Private("optuna.samplers._tpe._truncnorm", (INTERNALS,), DENSITY),
    "_norm_pdf_logC": Private("optuna.samplers._tpe._truncnorm", (INTERNALS,), DENSITY),
    "_ParzenEstimator": Private("optuna.samplers._tpe.parzen_estimator", (INTERNALS,), DENSITY),
    "_BatchedTruncNormDistributions": Private(
        "optuna.samplers._tpe.probability_distributions", (INTERNALS,), DENSITY
    ),
    "_BatchedTruncLogNormDistributions": Private(
        "optuna.samplers._tpe.probability_distributions", (INTERNALS,), DENSITY
    ),
    "_get_infeasible_trial_score": Private("optuna.samplers._tpe.sampler", (INTERNALS,), OVERRIDDEN),
    "_get_pruned_trial_score": Private("optuna.samplers._tpe.sampler", (INTERNALS,), OVERRIDDEN),
    "default_gamma": Private("optuna.samplers._tpe.sampler", (INTERNALS,), OVERRIDDEN),
    "_get_single_value": Private(
        "optuna.distributions", (INTERNALS,), "take `low`, or the only one of `choices`"
    ),
    "_SearchSpaceTransform": Private(
        "optuna._transform", (INTERNALS,), "ask the random sampler: sample_independent, one by one"
    ),
    "JournalOperation": Private(
        "optuna.storages.journal._storage", (JOURNAL,), "write the new op codes, and read the old ones"
    ),
    "FrozenStudy": Private("optuna.study._frozen", (JOURNAL,), "only a type: what get_all_studies gives"),
    # Attributes
    "_storage": Private("study", (INTERNALS,), "hand the storage to whoever asks for it"),
    "_study_id": Private("study", (INTERNALS, JOURNAL), "ask the storage: get_study_id_from_name"),
    "_trial_id": Private(
"trial", (INTERNALS, JOURNAL, IN_MEMORY, "analysis/importance.py"), "ask the storage: by study and number"),
    "_cached_frozen_trial": Private("trial", (INTERNALS,), "keep the steps of live trials in search.study"),
    "_min_resource": Private("pruner", (INTERNALS,), "take it from what search.pruning.pruners gives"),
    "_reduction_factor": Private("pruner", (INTERNALS,), "take it from what search.pruning.pruners gives"),
    "_try_initialization": Private(
        "optuna.pruners:HyperbandPruner", (INTERNALS,), "have it judge a trial without reports at the start"
    ),
    "_wrapped_pruner": Private(
        "patient", (INTERNALS,), "take it from what search.pruning.pruners gives"
    ),
    "_get_generation_key": Private(
        "optuna.samplers:NSGAIISampler", (INTERNALS,), "leave generations of warm starts out"
    ),
    "_all_grids": Private("grid", (INTERNALS,), "list the grid's product in the order that it tries"),
    "_param_names": Private("grid", (INTERNALS,), "take the sorted names of the grid"),
    "_mixture_distribution": Private("estimator", (INTERNALS,), DENSITY),
    "_search_space": Private("estimator", (INTERNALS,), DENSITY),  # and of a grid, as it is noted in trials
    "_get_trial": Private(STORAGE, (JOURNAL, IN_MEMORY), IN_STORAGE),
    "_set_trial": Private(STORAGE, (JOURNAL,), IN_STORAGE),
    "_update_cache": Private(STORAGE, (JOURNAL,), IN_STORAGE),
    "_studies": Private("storage", (JOURNAL, IN_MEMORY), IN_STORAGE),
    "_max_study_id": Private("storage", (JOURNAL,), IN_STORAGE),
    "_max_trial_id": Private("storage", (JOURNAL, IN_MEMORY), IN_STORAGE),
    "_trial_id_to_study_id_and_number": Private("storage", (JOURNAL, IN_MEMORY), IN_STORAGE),
    "_lock": Private("storage", (IN_MEMORY,), IN_STORAGE),
    "_sample": Private(SAMPLER, (EXACT, TPE), OVERRIDDEN),
    "_get_internal_repr": Private(SAMPLER, (EXACT,), OVERRIDDEN),
    "_get_params": Private(SAMPLER, (EXACT, TPE), IN_SAMPLER),
    "_is_multivariate": Private(SAMPLER, (TPE,), IN_SAMPLER),
    "_compare": Private(SAMPLER, (EXACT,), IN_SAMPLER),
    "_get_trials": Private(
        "optuna:Study", (EXACT, SEEING, INTERNALS), "call Study.get_trials(deepcopy=False)"
    ),
    **{
        name: Private("sampler", files, IN_SAMPLER)
        for files, names in (
            ((EXACT, TPE), ("_constant_liar", "_n_ei_candidates")),
            ((TPE,), ("_group", "_n_startup_trials")),
            ((EXACT,), ("_gamma", "_parzen_estimator_cls", "_parzen_estimator_parameters", "_rng")),
        )
        for name in names
    },
}  # fmt: skip


def test_every_private_name_of_optuna_is_listed_with_the_files_that_use_it() -> None:
    listed = {name: set(each.files) for name, each in PRIVATE.items()}
    assert uses() == listed


@pytest.mark.parametrize("name", PRIVATE)
def test_the_installed_optuna_has_the_private_name(name: str) -> None:
    private = PRIVATE[name]
    owner = owner_of(private.owner)
    assert hasattr(owner, name), (
        f"no {name} in {private.owner} of Optuna {optuna.__version__}; used in {', '.join(private.files)}. "
        f"To move to this version: {private.if_gone}."
    )


@pytest.mark.slow
def test_samplers_hold_their_random_states_where_they_are_set() -> None:
    """A sampler whose random state moved would go on, and propose other things after a resume."""
    pytest.importorskip("cmaes", reason="pip install 'sweep-mlx[samplers]'")
    samplers = [optuna.samplers.NSGAIISampler(), optuna.samplers.CmaEsSampler()]
    held = {name for sampler in samplers for name in RANDOM_PARTS if hasattr(sampler, name)}
    gone = set(RANDOM_PARTS) - held
    assert not gone, (
        f"no sampler of Optuna {optuna.__version__} has {gone}: find where its random state is now"
    )


def owner_of(text: str) -> object:
    """What `module`, `module:Class` or the word for an object of Optuna's stands for."""
    study = optuna.create_study()
    match text:
        case "study":
            return study
        case "trial":
            return study.ask()
        case "pruner":
            return optuna.pruners.SuccessiveHalvingPruner()
        case "patient":
            with quietly():
                return optuna.pruners.PatientPruner(None, 1)
        case "storage":
            return optuna.storages.InMemoryStorage()
        case "grid":
            return optuna.samplers.GridSampler({"x": [1]})
        case "sampler":
            return optuna.samplers.TPESampler()
        case "estimator":
            from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
            from optuna.samplers._tpe.sampler import default_weights

            settings = _ParzenEstimatorParameters(1.0, True, False, default_weights, True)
            distribution = optuna.distributions.FloatDistribution(0.0, 1.0)
            return _ParzenEstimator({"x": np.array([0.5])}, {"x": distribution}, settings)
        case _:
            module, _, name = text.partition(":")
            found = importlib.import_module(module)
            return getattr(found, name) if name else found


def uses() -> dict[str, set[str]]:
    """The private names of Optuna in the source, and the files that they stand in, found by reading it."""
    found: dict[str, set[str]] = defaultdict(set)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text()
            if "optuna" in text or path.is_relative_to(ROOT / "sweep/search"):
                for name in private_names(ast.parse(text)):
                    found[name].add(path.relative_to(ROOT).as_posix())
    return found


def private_names(tree: ast.Module) -> Iterator[str]:
    own = set(names_of_our_own(tree))
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("optuna"):
                private = any(part.startswith("_") for part in module.split("."))
                yield from (each.name for each in names if private or each.name.startswith("_"))
            case ast.Attribute(attr=name) if is_private(name) and (name not in own or name in PRIVATE):
                yield name
            case ast.ClassDef(body=body):  # a method of Optuna's that is overridden
                methods = [each.name for each in body if isinstance(each, ast.FunctionDef)]
                yield from (name for name in methods if name in PRIVATE)


def names_of_our_own(tree: ast.Module) -> Iterator[str]:
    """What the module itself defines: methods, attributes that it sets, functions."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
