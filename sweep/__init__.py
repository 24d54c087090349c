"""Hyperparameter sweeps for Macs: `python -m sweep run study.yaml`.

Importing this package loads none of ray, mlx, optuna or pandas, so that the
command line answers at once.
"""
