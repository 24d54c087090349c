"""Optuna's TPE, bit for bit, that looks at every ended trial once.

sampler   the sampler
density   Parzen estimators whose kernels are kept
trials    ended trials as arrays, ranked once
"""
