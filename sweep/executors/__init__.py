"""How workers are reached.

base        what an executor is
inline      one worker in this process
simulated   no training at all: plans and tests
packaging   a study's folder, as it is sent to other machines
awake       holds off sleep while a study runs
ray         workers as Ray actors (a package)
"""
