"""Verbs that steer a run, by its directory or its study file.

trials   what a study tries, and how: set, enqueue, prune, finish
whole    the run as a whole: pause, resume, stop
marks    notes and tags: note, tag
asking   the run that is meant, and how an answer is printed
"""
