"""Where trials are written to besides the run directory: TensorBoard, MLflow, W&B, a class of one's own.

base          what a logger is
choosing      the study file's `loggers` -> loggers, by name or `package.module:Class`
following     a thread that reads the log as it grows and gives each logger what it lacks
best          the best trial so far
names         metrics under the names that a logger takes
ours          a module for each of our own
"""
