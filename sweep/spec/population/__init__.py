"""A population of trials, as a study file and a plan have it.

settings    what the study file says
rules       what a study with a population cannot have
stretches   where a run stands in the stretches of its plan
"""
