"""TPE that looks at every ended trial once, and answers many asks at once.

sampler      the sampler, by default
proposals    hyperparameters that are drawn together: candidates, and the best for each trial
mixture      kernels to draw from and to compare by
lines        how wide kernels are, kept up as trials come and go
axes         coordinates and features of points
normal       the normal distribution over arrays
exact        the sampler that proposes what Optuna's does, bit for bit where no trial diverges
density      Optuna's Parzen estimators, whose kernels are kept: for `exact`
trials       ended trials as arrays, ranked once
divergence   how likely a trial is to diverge at a point
"""
