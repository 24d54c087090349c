"""Mutated study files: each gives a study or a SpecError, within a bound of time, and nothing else.

texts       study files to start from
mutations   a seed decides what is changed
"""
