"""Our own loggers: a module each, called as the study file calls it, with its class as LOGGER.

comet         an experiment for each trial, and one of the study
mlflow        a run for each trial
tensorboard   a folder for each trial
wandb         a run for each trial, and one of the study

What a module imports comes with the extra of the module's name, `pip install 'sweep-mlx[mlflow]'`. A new
logger is a new module here, and nothing else.
"""
