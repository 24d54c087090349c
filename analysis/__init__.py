"""Run directories as pandas tables, plots and a report: `analysis.load("runs/digits").trials`.

load        opens one run or several
run         one run: its tables, and what follows from them
runs        several runs side by side
frames      log records and Arrow tables as DataFrames
studyfile   the run's study.yaml, as far as tables and plots need it
provenance  where results come from: versions, chips, hosts
importance  which hyperparameters decide
weights     trained weights out of checkpoints
plots       pictures, each with a caption (a package)
report      one HTML file
page        what that file, and a run that is watched, shows in the browser (a package)
final       a process that says what is found of trials once their study has finished
errors      what is raised, and warned of
"""

from analysis.errors import RunError, RunWarning
from analysis.load import load
from analysis.run import Run
from analysis.runs import Runs

__all__ = ["Run", "RunError", "RunWarning", "Runs", "load"]
