"""What a person asks of a run by hand, while it runs or not: asked, decided, recorded, done.

channel     requests as files of the run directory, until they are answered
decisions   what comes of a request: accepted or refused, from plain values
refusal     why a request is not done
space       points to try, compared with the space
settings    the keys that may be set, and which of a setting and the study file holds
recording   answers in the log, before anything is done
live        requests to a study that runs
waiting     requests to a run that does not: paused, interrupted or finished
"""
