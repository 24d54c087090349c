"""Studies from other tools' files: `sweep import`.

converting   a file -> a study file, and what it could not say
kinds        which tool a file is of
drafts       a study on its way, with comments and what is left unsaid
entries      other tools' distributions as entries of a space
arguments    hyperparameters as the arguments of a command
wandb        sweep files of W&B
hydra        configs of Hydra's sweepers
hydra_sweepers   what each of them searches
hydra_overrides  Hydra's words for it
determined   experiments of Determined
ray_tune     experiments of Ray Tune and RLlib in YAML
"""
