"""Which trials end early.

pruners    pruners by name, with the study file's arguments
lengths    their arguments as lengths, `{epochs: 1}`
reach      what a pruner can do in the trials of a study
adapters   what a pruner is shown of several objectives or replicates
"""
