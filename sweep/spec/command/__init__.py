"""A study whose trials are processes of any program: its `command`, and how its output is read.

template    placeholders and what stands in their place
fields      the types of its keys
rules       what must hold between them and the space
program     which file the command runs, and whether it can be run
"""
