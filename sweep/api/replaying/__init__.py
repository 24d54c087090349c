"""`sweep replay`: a run trained again from its record, and compared with it.

replay      the verb
recorded    what a run's log holds of each trial, and where two such records differ first
training    trials trained again, alone
proposals   the sampler's proposals and the pruner's verdicts, from the recorded results
"""
