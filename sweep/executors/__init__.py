"""How workers are reached.

base               what an executor is, and a factory of them
choosing           the executor that a study file names
inline             one worker in this process
asked              trials that a Python program asks for and trains itself
trainer            a thread that MLX lives in
ray                workers as Ray actors (a package)
sharing            slots that several studies share (a package)
simulated          nodes that train nothing, on a clock of their own: plans and tests
simulated_worker   what such a node does with turns
cluster            a cluster that is up, as a study needs to know it
packaging          a study's folder, as it is sent to other machines
awake              holds off sleep while a study runs
"""
