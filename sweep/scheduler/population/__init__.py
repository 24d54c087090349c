"""Members of a population: they copy each other at their boundaries.

evolving      what was decided, done
checkpoints   what they resume from, and what others may yet copy
"""
