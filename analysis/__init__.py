"""Run directories as pandas tables, plots and a report: `analysis.load("runs/digits").trials`."""

from analysis.errors import RunError, RunWarning
from analysis.load import load
from analysis.run import Run
from analysis.runs import Runs

__all__ = ["Run", "RunError", "RunWarning", "Runs", "load"]
