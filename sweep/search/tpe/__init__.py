"""Optuna's TPE, bit for bit where no trial diverges, that looks at every ended trial once.

sampler      the sampler
density      Parzen estimators whose kernels are kept
trials       ended trials as arrays, ranked once
divergence   how likely a trial is to diverge at a point
"""
