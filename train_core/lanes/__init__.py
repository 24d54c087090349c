"""Many runs in one compiled step.

population      lanes loaded, advanced, dropped
program         the compiled step of a signature and width
width           how many lanes pay, measured
evaluation      validation over lanes
chunk           steps handed over together
lane            one lane's host side
rows            rows of the arrays that all lanes share
shared_arrays   arrays that all lanes share
"""
