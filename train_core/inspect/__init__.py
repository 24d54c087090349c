"""A task, tried before it trains.

purity                 whether a step has effects beside its result
vmap_incompatibility   what keeps a task out of lanes, and where
watching               which hyperparameters a task reads
probe                  a task run once for its shapes
description            what is said of a task
"""
