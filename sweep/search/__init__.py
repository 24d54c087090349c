"""All that touches Optuna: proposals, verdicts and its storage.

study             ask, report, judge and tell
storage           a study's trials in Optuna's storage: opened, restored, compared with the log, committed
ends              how trials end, as Optuna is told and as it is read back
space             the study file's space as Optuna's distributions
samplers          samplers by name
hub               samplers of OptunaHub
grid              the grid sampler, every point once
fitted            trials of another space, as the storage holds them
wrappers          around the study's own sampler and storage (a package)
terminators       stop rules by name
warm_start        trials of elsewhere, in this study's space
warm_sources      run directories and tables that trials come from
journal           Optuna's journal, committed in groups
journal_check     whether the journal says what the log says
in_memory         a storage that keeps nothing
ended_trial       trials that have ended, read without copying
optuna_internals  Optuna's private names behind plain functions
tpe               TPE at a lower cost (a package)
pbt               members of a population that copy each other (a package)
pruning           which trials end early (a package)
"""

import importlib
import warnings
from contextlib import suppress

with warnings.catch_warnings(), suppress(ImportError):
    # Optuna imports it, and in a notebook without ipywidgets it warns of bars that are never shown.
    warnings.simplefilter("ignore")
    importlib.import_module("tqdm.auto")
