"""Run directories as pandas tables: `analysis.load("runs/digits").trials`."""

from analysis.load import Run, RunError, RunWarning, load

__all__ = ["Run", "RunError", "RunWarning", "load"]
