"""One lane's pure functions.

step         a micro-batch: loss, gradients, accumulation, update
functional   a module as a pure function of its parameters
optim        optimizers as pure functions
precision    casts and the loss scale
accumulate   the sum of gradients over micro-batches
embedding    embedding gradients that repeat
batch_norm   BatchNorm whose gradient takes two sums a pass
vector       parameters, moments and the accumulation buffer as one flat vector
variants     which traces a program has
schedule     learning rates by update
groups       parameters whose rate or decay is another, by patterns of their paths
scalars      dynamic hyperparameters as arrays
"""
