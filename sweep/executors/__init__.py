"""How workers are reached.

base        what an executor is, and a factory of them
choosing    the executor that a study file names
inline      one worker in this process
ray         workers as Ray actors (a package)
simulated   no training at all: plans and tests
cluster     a cluster that is up, as a study needs to know it
packaging   a study's folder, as it is sent to other machines
awake       holds off sleep while a study runs
"""
