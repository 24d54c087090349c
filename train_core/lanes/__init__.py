"""Many runs in one compiled step.

population      lanes loaded, advanced, dropped
program         the compiled step of a signature and width
width           how many lanes pay, measured
evaluation      validation over lanes
chunk           steps handed over together
lane            one lane's host side
shared_arrays   arrays that all lanes share
"""
