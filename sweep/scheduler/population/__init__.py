"""Members of a population: they copy each other at their boundaries.

together      in a fixed order: members wait for each other
evolving      what was decided, done
checkpoints   what they resume from, and what others may yet copy
"""
